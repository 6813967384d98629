"""What holds for every test."""

import os
import signal
from collections.abc import Iterator

import hypothesis
import pytest

from tests.chat import Chat, running
from tests.leaks import Watch

# Whatever language the developer reads, here and in each verb that a test starts.
os.environ["HOT_UPDATE_LANG"] = "en"
# Started in the background of a shell, we would hand on to every verb that Ctrl-C is to be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: a module is one process's, and none of these should be the last to begin."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a test that was skipped is a test that nobody ran: the run fails."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and os.environ.get("CI") == "true" and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def watch() -> Iterator[Watch]:
    """Watch the processes of this machine for secrets of this process's sandboxes."""
    with Watch() as watching:
        yield watching


# No test asserts a time: a busy machine is no failure.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture
def chat() -> Iterator[Chat]:
    """Give a chat's webhook that takes what it is sent."""
    with running() as there:
        yield there
