"""What every verb works with: the settings of its target, the connection, and where it reports to."""

import sys
from collections.abc import Callable

from deploy import preflight
from deploy.errors import Exit, Failure
from deploy.host import Answer, Host
from deploy.report import Report
from deploy.settings import Settings
from deploy.state import State, TargetIs, parse, read_script


class Session:
    """A verb's settings, its host and its report. `connect` opens a connection to the host."""

    def __init__(self, settings: Settings, connect: Callable[[], Host], report: Report) -> None:
        self.settings = settings
        self.report = report
        self.host = connect()
        self._connect = connect

    def reconnect(self) -> None:
        """Open a new connection in place of one that was lost."""
        self.host.close()
        self.host = self._connect()

    def close(self) -> None:
        self.host.close()

    def read(self, target: TargetIs) -> State:
        """Read the host's whole state in one round trip."""
        answer = self.host.run(read_script(self.settings, target=target))
        if answer.status != 0:
            raise Failure("the host's state could not be read", evidence=tail(answer))
        return parse(answer.stdout)

    def agree(self, what: str, *, yes: bool) -> None:
        """Ask before acting on a terminal; elsewhere the operator must have said so beforehand."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise Failure("nobody can be asked here", remedy="give --yes to act without asking", code=Exit.USAGE)
        if input(f"{what[0].upper()}{what[1:]}? [y/N] ").strip().lower() not in ("y", "yes"):
            raise Failure("not agreed to, nothing was done", code=Exit.REFUSED)

    def now(self) -> tuple[str, ...]:
        """Say the host's state now; a failing look never hides the failure that it explains."""
        return self.look()[1]

    def look(self) -> tuple[State | None, tuple[str, ...]]:
        """Give the host's state now, where it can be read, and say it."""
        try:
            state = self.read("running")
        except Failure as failure:
            return None, (f"now: unknown, {failure.fact}",)
        why = "" if state.answering else preflight.last_error(self.settings, state)
        return state, (*((f"last error in the logs: {why}",) if why else ()), f"now: {self.report.describe(state)}")


def tail(answer: Answer) -> tuple[str, ...]:
    """Keep the last lines of what a script complained, or said."""
    return tuple((answer.stderr or answer.stdout).strip().splitlines()[-3:])
