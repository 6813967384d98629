"""What was found that a setting should be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from deploy.discovery.facts import Container
from deploy.message import Told, say
from deploy.settings import Sections

USUAL: Mapping[str, Any] = TypeAdapter(Sections).dump_python(Sections(), mode="json")


Sure = Literal["given", "sure", "likely", "unknown"]


@dataclass(frozen=True)
class Found:
    """What a setting, by its dotted key, should be, as a file has it; an `unknown` one has no value and is asked."""

    key: str
    value: Any
    why: Told
    sure: Sure = "sure"

    @property
    def differs(self) -> bool:
        return bool(self.value != usual(self.key))


def usual(key: str) -> Any:
    """Give the default of a dotted key."""
    value: Any = USUAL
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def some(key: str, values: Any, why: Told, none: Told, sure: Sure = "sure") -> Found:
    """Say what of several things was found, or that none was."""
    return Found(key, values, why if values else none, sure)


def container(key: str, container: Container) -> Found:
    """Name it where Compose cannot be asked for it, or as by default."""
    if container.name == usual(key):
        return Found(key, container.name, say("so it is called"))
    if container.folder:
        return Found(key, container.name, say("Compose made it in the folder %s", container.folder))
    return Found(key, "", say("the one that Compose made, now %s", container.name))
