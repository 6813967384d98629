"""How far a run is: its steps as the journal tells of them, for who looks at it while it goes on."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from deploy.message import NOTHING, Message, Told, say, unpack
from deploy.runs import Event

StepState = Literal["waiting", "running", "done", "failed"]
# A run proves its release once all steps are done, and is `done` or has `ended` otherwise.
Stage = Literal["stepping", "proving", "undoing", "done", "ended"]


@dataclass(frozen=True)
class Seen:
    """A step as it was seen: since when it runs, in seconds by the clock of who looks; how long it took, by the host's.

    `told` is what it said last, in words of ours once it has ended.
    """

    name: str
    state: StepState = "waiting"
    since: float = 0.0
    took: float = 0.0
    told: Told = NOTHING
    # By the host's clock.
    began: float = 0.0
    message: Told = NOTHING

    @property
    def last(self) -> Told:
        return self.message if self.state == "done" and self.message != NOTHING else self.told


@dataclass(frozen=True)
class Progress:
    """A run's steps in order; those of a plan that is known wait before they begin."""

    steps: tuple[Seen, ...] = ()
    stage: Stage = "stepping"
    # What the run waits for, or how it ended.
    told: Told = NOTHING

    @classmethod
    def of(cls, names: Iterable[str]) -> "Progress":
        return cls(tuple(map(Seen, names)))

    @property
    def current(self) -> Seen | None:
        """The step that runs, or else the last one that did."""
        begun = [step for step in self.steps if step.state != "waiting"]
        return next((step for step in begun if step.state == "running"), begun[-1] if begun else None)

    @property
    def done(self) -> int:
        return sum(step.state == "done" for step in self.steps)

    def hear(self, event: Event, now: float) -> "Progress":
        """Learn from an event of the journal, heard at `now`."""
        match event.kind, event.fields:
            case "begin", (name, *_):
                known = self if any(step.name == name for step in self.steps) else self._with(Seen(name))
                begun = known._change(name, state="running", since=now, began=event.at)
                return replace(begun, told=NOTHING)
            case "line" | "message", (name, told) if told.strip():
                said = unpack(told)
                if isinstance(said, Message):
                    return self._change(name, told=said, message=said)
                return self._change(name, told=said)
            case "end", (name, status, *_):
                began = next((step.began for step in self.steps if step.name == name), event.at)
                return self._change(name, state="done" if status == "0" else "failed", took=event.at - began)
            case "holding", (("start" | "apply"), *_):
                return replace(self, told=say("waiting until all hosts are as far"))
            case "confirming", _:
                return replace(self, stage="proving", told=say("proving it"))
            case "confirmed", _:
                return replace(self, told=say("confirmed"))
            case "undo", _:
                return replace(self, stage="undoing", told=say("undoing what was done"))
            case "undo-begin", (name, *_):
                return replace(self, told=say("undoing %s", name))
            case "done", (outcome, *_):
                return replace(
                    self, stage="done" if outcome == "done" else "ended", told=OUTCOMES.get(outcome, NOTHING)
                )
        return self

    def _with(self, step: Seen) -> "Progress":
        return replace(self, steps=(*self.steps, step))

    def _change(self, name: str, **changes: object) -> "Progress":
        # What an undo says has the name of its step too.
        if self.stage != "stepping":
            return self
        steps = tuple(replace(step, **changes) if step.name == name else step for step in self.steps)  # type: ignore[arg-type]
        return replace(self, steps=steps)


# How a run ended, in words.
OUTCOMES = {
    "done": say("done"),
    "refused": say("refused, nothing was changed"),
    "undone": say("undone"),
    "undone-ill": say("undone, and ill"),
    "altered": say("refused, and something was changed"),
    "abandoned": say("abandoned"),
    "failed": say("failed"),
    "locked": say("locked"),
    "changed": say("the host changed meanwhile, nothing was done"),
}
