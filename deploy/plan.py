"""Step and Plan: what a run will do, decided before anything is touched."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from deploy.errors import Exit, Failure
from deploy.message import Message, Told, say

Level = Literal["ok", "warning", "refusal"]


@dataclass(frozen=True)
class Options:
    """What the operator allowed on the command line."""

    discard: bool = False
    allow_unsuitable: bool = False
    keep_schema: bool = False
    no_backup: bool = False
    # Is the new code proven first? Told by the plan.
    proven: bool = False
    # How to restart, where the settings are overruled: rolling or container.
    strategy: str = ""
    # To a release of before: the remote is not asked, and need not have it any more.
    back: bool = False
    # Names of files that are brought to their places elsewhere, though only when asked for.
    also: tuple[str, ...] = ()
    # Release although what was built from other sources stays.
    keep_built: bool = False
    # The maintenance page that stands before the app meanwhile; nothing: none does.
    page: str = ""
    # Another host dumps and migrates the database, which is that of several.
    elsewhere: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it stands, what shows it, what to do about it."""

    level: Level
    check: str
    evidence: Told
    remedy: Told | None = None


# The reason of a step that runs because its verb was.
ASKED_FOR = say("asked for")


@dataclass(frozen=True)
class Step:
    """A part of a run. `script` is complete Bash for the host, `summary` says in a few lines what it will do.

    `timeout` is in seconds; the host ends the step after that. `undo`, Bash too, is what the host runs when
    this or a later step fails; empty where there is nothing to undo. A `harmless` step changes nothing.
    While one `beside` which others may be at work is that, the host looks at what the plan was made from, and begins
    the `early` steps, which then get ready for their turn.
    """

    name: str
    reason: Message
    script: str
    timeout: int
    summary: tuple[Told, ...] = ()
    undo: str = ""
    harmless: bool = False
    beside: bool = False
    early: bool = False


@dataclass(frozen=True)
class Plan:
    """The steps towards a revision, in order; none where there is nothing to do.

    `confirm` is in seconds: how long the host waits for a confirmation after the last step; 0: none is needed.
    """

    verb: str
    revision: str
    steps: tuple[Step, ...]
    confirm: int = 0

    @property
    def undoable(self) -> bool:
        return any(step.undo for step in self.steps)


def refuse(findings: Iterable[Finding], needs: Iterable[str], *, shown: bool = False) -> None:
    """Raise one failure that tells every refusal among the checks that a verb needs; short where they were `shown`."""
    wanted = set(needs)
    refusals = [finding for finding in findings if finding.level == "refusal" and finding.check in wanted]
    if not refusals:
        return
    if shown:
        checks = tuple(dict.fromkeys(finding.check for finding in refusals))
        fact = say("refused, nothing was changed: %s", checks)
        raise Failure(fact, remedy=refusals[0].remedy, code=Exit.REFUSED)
    first, *others = refusals
    fact = say("%s: %s", first.check, first.evidence)
    raise Failure(fact, evidence=tuple(map(_told, others)), remedy=first.remedy, code=Exit.REFUSED)


def _told(refusal: Finding) -> Message:
    if refusal.remedy is None:
        return say("%s: %s", refusal.check, refusal.evidence)
    return say("%s: %s → %s", refusal.check, refusal.evidence, refusal.remedy)
