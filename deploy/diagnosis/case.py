"""What a diagnosis is made of: all that is known of a host, and one thing that is wrong there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from deploy import causes, releases, remedies
from deploy.diagnosis.facts import Container, Facts
from deploy.message import Message, Printed, Told, say
from deploy.plan import Finding
from deploy.settings import Settings
from deploy.state import State

# So many of the last lines are shown of what a container printed, or what a file ends with.
SHOWN = 5


class Check(Protocol):
    """What a health check answered; no status: nothing."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def healthy(self) -> bool: ...
    @property
    def status(self) -> int | None: ...
    @property
    def problem(self) -> Told | None: ...


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong: the likely cause, what shows it, and what to do, the likeliest remedy first.

    `check` names its subject for programs, as preflight does. What `harms` is the cause of what users notice.
    """

    check: str
    cause: Told
    evidence: tuple[Told, ...] = ()
    remedies: tuple[Told, ...] = ()
    harms: bool = True


@dataclass(frozen=True)
class Case:
    """All that is known of a host; `found` is what preflight says."""

    settings: Settings
    state: State
    checks: tuple[Check, ...]
    facts: Facts
    found: tuple[Finding, ...]

    @property
    def target(self) -> str:
        return self.settings.target.name

    @property
    def sudo(self) -> bool:
        return self.settings.target.sudo

    @property
    def ill(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.healthy)

    @property
    def docker(self) -> bool:
        """Can the engine be asked?"""
        return bool(self.state.engine)

    @property
    def up(self) -> bool:
        """Does the app's container run, and does not end again and again?"""
        app = self.state.containers.get("app")
        return app is not None and app.running

    @property
    def silent(self) -> bool:
        """Does the app itself not answer at all?"""
        own = [check for check in self.checks if check.name == self.settings.restart.check]
        return bool(own) and own[0].status is None

    def refused(self, *checks: str) -> Iterator[Finding]:
        return (finding for finding in self.found if finding.level == "refusal" and finding.check in checks)

    def warned(self, check: str) -> Iterator[Finding]:
        return (finding for finding in self.found if finding.level == "warning" and finding.check == check)

    @property
    def app(self) -> Container | None:
        """The app's container as it was looked at."""
        app = self.state.containers.get("app")
        return self.container(app.name) if app else None

    def container(self, name: str) -> Container | None:
        return next((one for one in self.facts.containers if one.name == name), None)


def taken(finding: Finding, *, harms: bool = False) -> Diagnosis:
    """Take over what preflight says."""
    return Diagnosis(finding.check, finding.evidence, (), (finding.remedy,) if finding.remedy else (), harms)


def back(case: Case) -> tuple[Told, ...]:
    """Go back, where there is a release to go back to; else only another release helps."""
    return (remedies.go_back_at_once(case.target) if releases.before(case.state) else remedies.cure(case.target),)


def said(state: State) -> list[Told]:
    return [Printed(line) for _, line in state.logs]


def complaints(logs: Mapping[str, list[str]], case: Case) -> Iterator[Message]:
    for file, lines in logs.items():
        # What came before the last start is over.
        last = causes.starts(lines, f"Starting {case.settings.app.server}")[-1]
        if "access" not in file and (found := causes.complaint(last)).line:
            yield say("%s: %s", file, found.line)
