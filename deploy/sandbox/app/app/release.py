"""The number of this release."""

RELEASE = 1
