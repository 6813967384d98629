#!/bin/sh
# Ask the app on this host whether it is well.
curl --fail --silent --show-error http://localhost/api/v1/health/basic
