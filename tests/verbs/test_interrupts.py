"""A Ctrl-C is never lost, and one that was met is over."""

import os
import signal
import time
from contextlib import suppress

import pytest

from deploy.verbs import interrupts
from deploy.verbs.interrupts import insistent


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "AGAIN", 0.05)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


def swallow() -> None:
    with insistent():
        with suppress(KeyboardInterrupt):
            press()
        time.sleep(10)


def test_a_ctrl_c_that_was_swallowed_on_its_way_comes_again() -> None:
    with pytest.raises(KeyboardInterrupt):
        swallow()


def test_a_ctrl_c_that_was_met_does_not_come_again() -> None:
    with insistent() as met:
        with suppress(KeyboardInterrupt):
            press()
        met()
        time.sleep(0.2)


def test_everything_is_as_before_in_the_end() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt), insistent():
        press()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
