"""What a verb tells, for programs: a stream of events on standard output, a JSON object a line.

events.schema.json says what each event has. A message is its text for people, and its format and values for programs,
which no language changes.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from deploy import backups, output, remedies
from deploy.changes import Section
from deploy.errors import Exit, Failure
from deploy.message import Message, Told, Value, say, unpack
from deploy.plan import Finding, Plan
from deploy.report import Report, Row
from deploy.state import State

if TYPE_CHECKING:
    from deploy.diagnosis.case import Diagnosis
    from deploy.health import Check
    from deploy.runs import Event

# Changes when an event has less than before, or something else.
SCHEMA = 1


class Events(Report):
    """Tells events; whoever would be asked something has to say it beforehand."""

    draws = False

    def _tell(self, event: str, **facts: object) -> bool:
        """Tell whether somebody reads it still."""
        return output.record({"schema": SCHEMA, "event": event, "target": self._of or None, **facts})

    def line(self, told: Told, style: str = "") -> None:
        self._tell("message", message=self._message(told))

    def error_line(self, told: Told) -> None:
        self.line(told)

    def log(self, source: str, moment: float, told: Told, colour: str) -> bool:
        return self._tell("log", source=source.rstrip(), at=moment, text=self.in_words(told))

    def rows(self, rows: Iterable[Row]) -> None:
        for name, told, *_ in rows:
            self._tell("fact", name=self._message(name), message=self._message(told))

    def ask(self, question: Message) -> str:
        raise Failure(say("nobody can be asked here"), remedy=remedies.GIVE_YES, code=Exit.USAGE)

    def data(self, printed: str) -> None:
        self._tell("data", text="\n".join(self.in_words(unpack(line)) for line in printed.split("\n")))

    def findings(self, findings: Sequence[Finding]) -> None:
        for one in findings:
            remedy = None if one.remedy is None else self._message(one.remedy)
            evidence = self._message(one.evidence)
            self._tell("finding", level=one.level, check=one.check, message=evidence, remedy=remedy)

    def diagnoses(self, found: Sequence["Diagnosis"]) -> None:
        for one in found:
            facts = {"check": one.check, "message": self._message(one.cause)}
            evidence, todo = ([self._message(told) for told in several] for several in (one.evidence, one.remedies))
            self._tell("diagnosis", **facts, evidence=evidence, remedies=todo)

    def table(self, headers: Sequence[Told], rows: Sequence[Sequence[Told]], marked: Sequence[Collection[int]]) -> None:
        for row in rows:
            cells = [
                {"name": self._message(header), "message": self._message(cell)}
                for header, cell in zip(headers, row, strict=True)
            ]
            self._tell("row", cells=cells)

    def changes(self, sections: Sequence[Section]) -> None:
        for one in sections:
            self._tell("change", title=self._message(one.title), lines=[self._message(line) for line in one.lines])

    def plan(self, plan: Plan, of: Value = "", *, commands: bool = False) -> None:
        steps = [
            {
                "name": step.name,
                "reason": self._message(step.reason),
                "summary": [self._message(line) for line in step.summary],
                "script": step.script if commands else None,
                "undo": step.undo if commands else None,
            }
            for step in plan.steps
        ]
        self._tell("plan", verb=plan.verb, revision=plan.revision or None, of=self._value(of or ()), steps=steps)

    def nothing_to_do(self, verb: Told, state: State) -> None:
        self._tell("nothing-to-do", verb=self._message(verb), message=self._message(self.describe(state)))

    def event(self, event: "Event") -> None:
        self._time(event)
        fields = [self._message(unpack(field)) for field in event.fields]
        self._tell("run", kind=event.kind, at=event.at, fields=fields)

    def done(self, target: str, revision: str, brought: Sequence[Message]) -> None:
        lines = [self._message(line) for line in brought]
        self._tell("done", revision=revision, seconds=self.times, lines=lines)

    def backups(self, found: backups.Backups) -> None:
        for one in found.all:
            facts = {"backup": one.id, "made": one.made, "bytes": one.bytes}
            self._tell("backup", **facts, revisions=list(one.revisions), code=one.code or None)

    def health(self, checks: Sequence["Check"]) -> None:
        for one in checks:
            problem = self._message(one.problem) if one.problem else None
            self._tell("health", check=one.name, url=one.url, healthy=one.healthy, problem=problem)

    def failure(self, failure: Failure) -> None:
        remedy = None if failure.remedy is None else self._message(failure.remedy)
        evidence = [self._message(line) for line in failure.evidence]
        fact = self._message(failure.fact)
        self._tell("failure", code=int(failure.code), message=fact, evidence=evidence, remedy=remedy)

    def _message(self, told: Told) -> dict[str, Any]:
        if not isinstance(told, Message):
            return {"text": str(told)}
        return {"text": self.in_words(told), "format": told.format, "values": [self._value(one) for one in told.values]}

    def _value(self, value: Value) -> Any:
        match value:
            case Message():
                return self._message(value)
            case str() | int() | float():
                return value
            case _:
                return [self._value(one) for one in value]
