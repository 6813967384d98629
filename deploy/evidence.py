"""What a run saw before it began and again at its end, so that what it says about its outcome is compared.

The host takes it (guard.sh, schema.sh) and journals what differs; here it is put into words.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from deploy import words
from deploy.runs import Event

# What is told with its values; of the rest they are sums.
_SHOWN = ("HEAD", "branch", "database revision")


@dataclass(frozen=True)
class Evidence:
    """What differs by name, what came, went or changed in the schema, and what could not be seen at the end."""

    differs: tuple[tuple[str, str, str], ...]
    schema: tuple[tuple[str, str], ...]
    unseen: tuple[tuple[str, str], ...]

    @property
    def unchanged(self) -> str:
        """Say that nothing was changed, as far as that was seen."""
        unseen = "; ".join(f"{what}: {why}" for what, why in self.unseen)
        return f"nothing was changed, as far as could be seen ({unseen})" if unseen else "nothing was changed"

    @property
    def lines(self) -> tuple[str, ...]:
        """Say what is not as it was before, a line each."""
        named = tuple(f"{what} {how}" for how, what in self.schema)
        return (
            *(f"{name} is not as before" + _values(name, was, now) for name, was, now in self.differs),
            *((f"the schema is not as before: {words.names(named)}",) if named else ()),
        )

    @property
    def half_migrated(self) -> bool:
        """Is the schema one that no revision stands for?"""
        return bool(self.schema) and "database revision" not in (name for name, _, _ in self.differs)


def of(events: Iterable[Event]) -> Evidence:
    """Read what a journal tells of it."""
    seen = tuple(events)

    def told(kind: str) -> list[tuple[str, ...]]:
        return [event.fields for event in seen if event.kind == kind]

    return Evidence(
        differs=tuple((name, was, now) for name, was, now, *_ in told("differs")),
        schema=tuple((how, what) for how, what, *_ in told("schema")),
        unseen=tuple((what, why) for what, why, *_ in told("unseen")),
    )


def _values(name: str, was: str, now: str) -> str:
    return f": {was or 'none'} -> {now or 'none'}" if name in _SHOWN else ""
