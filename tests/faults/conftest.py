"""The faults are watched as the tests on the sandbox are."""

from tests.sandbox.conftest import no_leak

__all__ = ["no_leak"]
