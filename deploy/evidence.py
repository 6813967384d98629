"""What a run saw before it began and again at its end, so that what it says about its outcome is compared.

The host takes it (guard.sh, schema.sh) and journals what differs; here it is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy import words
from deploy.message import Message, Told, say, unpack
from deploy.runs import Event

# What is told with its values; of the rest they are sums.
_REVISION = say("database revision")
_SHOWN = ("HEAD", say("branch"), _REVISION)


@dataclass(frozen=True)
class Evidence:
    """What differs by name, what came, went or changed in the schema, and what could not be seen at the end."""

    differs: tuple[tuple[Told, Told, Told], ...]
    schema: tuple[tuple[str, Told], ...]
    unseen: tuple[tuple[Told, Told], ...]

    @property
    def unchanged(self) -> Message:
        """Say that nothing was changed, as far as that was seen."""
        if not self.unseen:
            return say("nothing was changed")
        unseen = words.joined(say("%s: %s", what, why) for what, why in self.unseen)
        return say("nothing was changed, as far as could be seen (%s)", unseen)

    @property
    def lines(self) -> tuple[Message, ...]:
        """Say what is not as it was before, a line each."""
        named = tuple(_change(how, what) for how, what in self.schema)
        return (
            *(_difference(name, was, now) for name, was, now in self.differs),
            *((say("the schema is not as before: %s", words.names(named)),) if named else ()),
        )

    @property
    def half_migrated(self) -> bool:
        """Is the schema one that no revision stands for?"""
        return bool(self.schema) and _REVISION not in (name for name, _, _ in self.differs)


def of(events: Iterable[Event]) -> Evidence:
    """Read what a journal tells of it."""
    seen = tuple(events)

    def told(kind: str) -> list[tuple[str, ...]]:
        return [event.fields for event in seen if event.kind == kind]

    return Evidence(
        differs=tuple((unpack(name), unpack(was), unpack(now)) for name, was, now, *_ in told("differs")),
        schema=tuple((how, unpack(what)) for how, what, *_ in told("schema")),
        unseen=tuple((unpack(what), unpack(why)) for what, why, *_ in told("unseen")),
    )


def _difference(name: Told, was: Told, now: Told) -> Message:
    if name not in _SHOWN:
        return say("%s is not as before", name)
    return say("%s is not as before: %s -> %s", name, was or say("none"), now or say("none"))


def _change(how: str, what: Told) -> Message:
    match how:
        case "came":
            return say("%s came", what)
        case "went":
            return say("%s went", what)
        case _:
            return say("%s changed", what)
