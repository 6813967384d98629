"""Ctrl-C that cannot be lost: Python drops a KeyboardInterrupt that comes while it runs a callback of its own."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Seconds until a Ctrl-C that nobody met is raised again; on its way it may have to close a connection.
AGAIN = 1.0


@contextmanager
def insistent() -> Iterator[Callable[[], None]]:
    """Raise KeyboardInterrupt again and again from a Ctrl-C on; gives what whoever meets it has to call.

    Python has signals met in the main thread, so this has to be called there.
    """

    def press(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, AGAIN, AGAIN)
        raise KeyboardInterrupt

    def met() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)

    before = {number: signal.signal(number, press) for number in (signal.SIGINT, signal.SIGALRM)}
    try:
        yield met
    finally:
        met()
        for number, handler in before.items():
            signal.signal(number, handler)
