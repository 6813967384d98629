"""The hosts of a group: a session each, opened and asked side by side."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from deploy import remedies
from deploy.beside import Beside
from deploy.errors import Exit, Failure
from deploy.host import Host
from deploy.message import Told, say
from deploy.settings import Chosen, Group, Settings
from deploy.verbs.session import Session, in_turn

if TYPE_CHECKING:
    from deploy.report import Report

_Result = TypeVar("_Result")

# From the code that counts most to the one that counts least, where hosts end with different ones.
WORST = (
    Exit.INTERRUPTED,
    Exit.UNDONE_ILL,
    Exit.FAILED,
    Exit.UNDONE,
    Exit.LOCKED,
    Exit.REFUSED,
    Exit.FOUND,
    Exit.USAGE,
    Exit.DONE,
)


class Hosts:
    """The sessions of a group's targets, in its order. `connect` opens a connection to one of them.

    `unreached` are those that there is no connection to, each with the reason.
    """

    def __init__(self, chosen: Chosen, connect: Callable[[Settings], Host]) -> None:
        assert chosen.group, "only of a group"
        self.name = chosen.name
        self.group: Group = chosen.group
        self.names = tuple(settings.target.name for settings in chosen.targets)
        width = max(map(len, self.names))
        opened = self._beside(
            {
                settings.target.name: partial(
                    Session, settings, partial(connect, settings), f"{settings.target.name.ljust(width)}  "
                )
                for settings in chosen.targets
            }
        )
        self.sessions = {name: one for name, one in opened.items() if isinstance(one, Session)}
        self.unreached = {name: one for name, one in opened.items() if isinstance(one, Failure)}

    @cached_property
    def report(self) -> "Report":
        """What is said of all of them."""
        from deploy import report

        return report.new(of=self.name)

    @property
    def first(self) -> Session:
        """The first host that is reached; Failure where none is."""
        for session in self.sessions.values():
            return session
        raise next(iter(self.unreached.values()))

    def close(self) -> None:
        for session in self.sessions.values():
            session.close()

    def each(self, act: Callable[[Session], _Result], *, wide: bool = False) -> dict[str, _Result | Failure]:
        """Do it with every host side by side; what it gives, or how it failed, in the order of the group.

        `wide`: with all at the same time, since one may wait for the others.
        """
        found = self._beside({name: partial(act, session) for name, session in self.sessions.items()}, wide=wide)
        return {name: found[name] if name in found else self.unreached[name] for name in self.names}

    def in_turn(self, wait: "str | bool", act: Callable[[], None]) -> None:
        """Do it; where another run holds the lock of a host, `wait` until those have ended, and do it then."""
        in_turn(wait, act, self._turn)

    def _turn(self, failure: Failure, seconds: int) -> None:
        self.report.line(say("waiting: %s", failure.evidence[0]), "dim")
        for session in self.sessions.values():
            session.await_lock(seconds)

    def demand_all(self, *, skip: bool) -> None:
        """Refuse to change anything while a host cannot be reached, unless those are to be skipped."""
        if not self.unreached or (skip and self.sessions):
            return
        for name, failure in self.unreached.items():
            self.report.failure(named(name, failure))
        raise Failure(
            say("%s cannot be reached, nothing was done anywhere", tuple(self.unreached)),
            remedy=remedies.skip_unreachable(self.name) if self.sessions else None,
            code=Exit.REFUSED,
        )

    def tell_skipped(self) -> None:
        """Say last who was left out."""
        for name, failure in self.unreached.items():
            self.report.line(say("! %s was left out and is behind: %s", name, failure.fact), "yellow")

    def _beside(self, acts: Mapping[str, Callable[[], _Result]], *, wide: bool = False) -> dict[str, _Result | Failure]:
        room = threading.Semaphore(max(len(acts), 1) if wide else self.group.parallel)

        def within(act: Callable[[], _Result]) -> _Result:
            with room:
                return act()

        # Not a pool: Ctrl-C would have to wait for it.
        running = {name: Beside(partial(within, act)) for name, act in acts.items()}
        found: dict[str, _Result | Failure] = {}
        for name, one in running.items():
            try:
                found[name] = one.result()
            except Failure as failure:
                found[name] = failure
        return found


def named(name: str, failure: Failure) -> Failure:
    """Say of which host a failure is."""
    return Failure(
        say("%s: %s", name, failure.fact), evidence=failure.evidence, remedy=failure.remedy, code=failure.code
    )


def worst(codes: Iterator[Exit]) -> Exit:
    found = set(codes)
    return next((code for code in WORST if code in found), Exit.DONE)


def failures(found: Mapping[str, object]) -> dict[str, Failure]:
    return {name: one for name, one in found.items() if isinstance(one, Failure)}


def end(hosts: Hosts, failed: Mapping[str, Failure]) -> None:
    """Tell how each host failed, and raise one Failure of the worst exit code."""
    if not failed:
        return
    for name, failure in failed.items():
        hosts.report.failure(named(name, failure))
    good = tuple(name for name in hosts.names if name not in failed)
    raise Failure(
        say("%s failed, %s did not", tuple(failed), good) if good else say("%s failed", tuple(failed)),
        code=worst(failure.code for failure in failed.values()),
    )


@contextmanager
def noting(name: str, failed: dict[str, Failure]) -> Iterator[None]:
    """Note how a host failed, and go on."""
    try:
        yield
    except Failure as failure:
        failed[name] = failure


class Asked:
    """Asks each question once, one at a time, however many hosts want to know."""

    def __init__(self, ask: Callable[[Told], str]) -> None:
        self._ask = ask
        self._one_at_a_time = threading.Lock()
        self._answers: dict[Told, str] = {}

    def __call__(self, question: Told) -> str:
        with self._one_at_a_time:
            if question not in self._answers:
                self._answers[question] = self._ask(question)
            return self._answers[question]
