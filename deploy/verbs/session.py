"""What every verb works with: the settings of its target, the connection, and where it reports to."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

from deploy import answers, compose, output, remedies, shell
from deploy.errors import Exit, Failure
from deploy.host import Answer, Ended, Host
from deploy.message import Message, Told, say, unpack
from deploy.settings import Settings
from deploy.state import State, TargetIs, asking, parse, read_script, variables

if TYPE_CHECKING:
    import requests

    from deploy.backups import Backups
    from deploy.health import Check, Wanted
    from deploy.report import Report


_Result = TypeVar("_Result")
# As good as for ever, in seconds.
LONGEST = 1e7


class Session:
    """A verb's settings, its host and its report. `connect` opens a connection to the host.

    The `label` before each line of the report says of which host it is, where there are several.
    """

    def __init__(self, settings: Settings, connect: Callable[[], Host], label: str = "") -> None:
        self.settings = settings
        self._label = label
        self.host = connect()
        self._connect = connect
        # A script that the host carries out already, what ends that, and what it says.
        self._begun: tuple[str, ExitStack, Iterator[str]] | None = None
        # The other containers of the app's service, once they are known.
        self._replicas: tuple[str, ...] = ()

    @cached_property
    def report(self) -> "Report":
        """What is printed goes through this; made when there is something to print."""
        from deploy import report

        return report.new(self._label, self.settings.target.name)

    def reconnect(self) -> None:
        """Open a new connection in place of one that was lost."""
        self._begun = None
        self.host.close()
        self.host = self._connect()

    def close(self) -> None:
        self.host.close()

    def begin_reading(self, target: TargetIs, *, preview: bool = False, run: str = "") -> None:
        """Have the host begin to read its state ahead; that of a `run` it reads once that is to be confirmed."""
        if target != "remote" or self.settings.git.via != "laptop":
            script, opened = read_script(self.settings, target=target, preview=preview, run=run), ExitStack()
            self._begun = script, opened, opened.enter_context(self.host.stream(script))

    def read(self, target: TargetIs, *, preview: bool = False) -> State:
        """Read the host's whole state in one round trip, with a `preview` also what a dry run tells of the release."""
        return self._read(target, lambda: None, preview=preview)[1]

    def examine(self, target: TargetIs, *, run: str = "") -> "tuple[tuple[Check, ...], State]":
        """Ask every health check once while the host reads its state, that of a `run` which is to be confirmed."""
        checks, state = self._read(target, self._ask_app, run=run)
        return (*checks, *self._in_replicas(self._once)), state

    def _read(
        self, target: TargetIs, meanwhile: Callable[[], _Result], *, preview: bool = False, run: str = ""
    ) -> tuple[_Result, State]:
        if target == "remote" and self.settings.git.via == "laptop":
            result, state = self._bring(meanwhile, preview=preview)
        else:
            result, answer = self._ask(read_script(self.settings, target=target, preview=preview, run=run), meanwhile)
            state = parse(answer)
        # From here on nobody looks for them again.
        self.settings = compose.named(self.settings, state)
        self._replicas = tuple(other.name for other in state.others if other.state.replica)
        return result, state

    def _bring(self, meanwhile: Callable[[], _Result], *, preview: bool) -> tuple[_Result, State]:
        """Read the state with the laptop's branch in the remote's place; what the host lacks goes there first."""
        from deploy import bundle

        offer = bundle.fetched(self.settings)
        script = partial(read_script, self.settings, target="remote", preview=preview)
        result, answer = self._ask(script(offered=offer.tip), meanwhile)
        if bundle.lacking(answer):
            offer = bundle.packed(self.settings, offer, answer)
            _, answer = self._ask(script(offered=offer.tip, bundle_sum=offer.sum), lambda: None, offer.bundle)
        return result, bundle.told(parse(answer), offer)

    def _ask(self, script: str, meanwhile: Callable[[], _Result], stdin: bytes = b"") -> tuple[_Result, str]:
        with self._saying(script, stdin) as lines:
            # The host is busy for a while: the time to import what comes next.
            from deploy import report  # noqa: F401

            result = meanwhile()
            try:
                return result, "".join(f"{line}\n" for line in lines)
            except Ended as failure:
                raise Failure(say("the host's state could not be read"), evidence=failure.evidence[-3:]) from failure

    @contextmanager
    def _saying(self, script: str, stdin: bytes) -> Iterator[Iterator[str]]:
        """Give what a script says; of one that was begun before, what it has said since."""
        begun, self._begun = self._begun, None
        if begun and begun[0] == script:
            with begun[1]:
                yield begun[2]
        else:
            if begun:
                begun[1].close()
            with self.host.stream(script, stdin=stdin) as lines:
                yield lines

    def in_turn(self, wait: "str | bool", act: Callable[[], None]) -> None:
        """Do it; where another run holds the lock, `wait` until that has ended, and do it then.

        `wait` is for how many seconds in all, or True: for as long as it takes; empty: not at all.
        """
        in_turn(wait, act, self._turn)

    def _turn(self, failure: Failure, seconds: int) -> None:
        self.report.line(say("waiting: %s", failure.evidence[0]), "dim")
        self.await_lock(seconds)

    def await_lock(self, seconds: int) -> None:
        """Wait until no run holds the host's lock, but not for longer than that."""
        self.host.run(shell.script("turn.sh", **variables(self.settings), patience=seconds))

    def demand_database(self, *, dumps: bool = False) -> None:
        """Refuse what is about a database, or its `dumps`, where the app has none, or nothing can make these."""
        if self.settings.database.kind == "none":
            fact = say("the app has no database, as the settings say (database.kind)")
            raise Failure(fact, remedy=remedies.NAME_DATABASE, code=Exit.REFUSED)
        if dumps and not self.settings.dumpable:
            fact = say("the database has no container of its own, and backup.client names no other with its programs")
            raise Failure(fact, remedy=remedies.SET_CLIENT, code=Exit.REFUSED)

    def dumps(self) -> "Backups":
        """List the dumps of the database that there are."""
        from deploy import backups, steps

        told = steps.backup.dump_variables(self.settings, "")
        script = shell.script(
            "containers.sh", asking(self.settings), "backups.sh", "list.sh", **variables(self.settings), **told
        )
        answer = self.host.run(script)
        if answer.status != 0:
            raise Failure(say("the backups could not be listed"), evidence=tail(answer), code=Exit.REFUSED)
        with answers.understood(answer.stdout, say("the host's list of backups")):
            return backups.parse(answer.stdout)

    def http(self) -> "requests.Session":
        """Make requests to what the host reaches, and to what only the app's container does."""
        http = self.host.http()
        if any(check.inside for check in self.settings.health.checks):
            from deploy.health import INSIDE
            from deploy.verbs.asking import Inside

            http.mount(INSIDE, Inside(self.host, self.settings))
        return http

    def recover(self) -> "tuple[Check, ...]":
        """Ask the health checks until all are healthy, or the time for that is over."""
        return (*self._patiently(self.http(), self.settings.health.checks), *self._in_replicas(self._patiently))

    def _ask_app(self) -> "tuple[Check, ...]":
        return self._once(self.http(), self.settings.health.checks)

    def _in_replicas(
        self, ask: "Callable[[requests.Session, Sequence[Wanted]], tuple[Check, ...]]"
    ) -> "tuple[Check, ...]":
        """Ask each replica by itself what is asked from within: where others answer well, one that is ill is hidden."""
        within = [check for check in self.settings.health.checks if check.inside]
        if not within or not self._replicas:
            return ()
        from deploy.beside import Beside
        from deploy.verbs import asking

        doors = {name: asking.within(self.host, self.settings, name) for name in self._replicas}
        asked = {name: Beside(partial(ask, door, within)) for name, door in doors.items()}
        return tuple(replace(told, name=f"{told.name}@{name}") for name, one in asked.items() for told in one.result())

    def _once(self, http: "requests.Session", checks: "Sequence[Wanted]") -> "tuple[Check, ...]":
        from deploy import health

        return health.check(http, checks, self.settings.health.request_timeout)

    def _patiently(self, http: "requests.Session", checks: "Sequence[Wanted]") -> "tuple[Check, ...]":
        from deploy import health

        wanted = self.settings.health
        return health.wait(http, checks, timeout=wanted.request_timeout, deadline=wanted.timeout)

    def agree(self, question: Message, *, yes: bool) -> None:
        """Ask before acting on a terminal; elsewhere the operator must have said so beforehand."""
        agree(self.report, question, yes=yes)

    def now(self) -> tuple[Told, ...]:
        """Say the host's state now; a failing look never hides the failure that it explains."""
        return self.look()[1]

    def look(self) -> tuple[State | None, tuple[Told, ...]]:
        """Give the host's state now, where it can be read, and say it."""
        try:
            state = self.read("running")
        except Failure as failure:
            return None, (say("now: unknown, %s", failure.fact),)
        from deploy import preflight

        why = "" if state.answering else preflight.last_error(self.settings, state)
        return state, (
            *((say("last error in the logs: %s", why),) if why else ()),
            say("now: %s", self.report.describe(state)),
        )


def agree(report: "Report", question: Message, *, yes: bool) -> None:
    """Ask before acting, as Session.agree does."""
    if yes:
        return
    if not output.can_ask():
        raise Failure(say("nobody can be asked here"), remedy=remedies.GIVE_YES, code=Exit.USAGE)
    if report.ask(say("%s? [y/N] ", question)).lower() not in ("y", "yes"):
        raise Failure(say("not agreed to, nothing was done"), code=Exit.REFUSED)


def in_turn(wait: "str | bool", act: Callable[[], None], turn: Callable[[Failure, int], None]) -> None:
    """Do it; where another run holds a lock, have `turn` wait for that, and do it then.

    `wait` is for how many seconds in all, or True: for as long as it takes; empty: not at all.
    """
    deadline = time.monotonic() + _patience(wait)
    while True:
        try:
            return act()
        except Failure as failure:
            left = deadline - time.monotonic()
            if failure.code != Exit.LOCKED or left <= 0:
                raise
            turn(failure, math.ceil(left))


def _patience(wait: str | bool) -> float:
    if isinstance(wait, bool):
        return LONGEST if wait else 0
    if wait and not wait.isdecimal():
        raise Failure(say("--wait takes seconds, not %s", repr(wait)), code=Exit.USAGE)
    return float(wait or 0)


def tail(answer: Answer) -> tuple[Told, ...]:
    """Keep the last lines of what a script complained, or said."""
    lines = (answer.stderr or answer.stdout).split("\n")
    return tuple(unpack(line) for line in lines if line.strip())[-3:]
