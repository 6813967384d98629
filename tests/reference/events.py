"""The events, from their schema: each with its meaning and its fields."""

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

Translate = Callable[[str], str]
# What every event has is told once, by hand.
EVERY = ("schema", "event", "target")


def page(tell: Translate) -> str:
    """Write a table of the events, and one of each thing that they have in common."""
    schema = json.loads(files("deploy").joinpath("events.schema.json").read_text("utf-8"))
    events = [
        f"| `{one['properties']['event']['const']}` | {tell(one['title'])} | {_fields(one, tell, *EVERY)} |"
        for one in schema["oneOf"]
    ]
    message = schema["$defs"]["message"]["properties"]
    described = [
        f"| `{name}` | {_kind(of, tell)} | {tell(of['description']) if 'description' in of else ''} |"
        for name, of in message.items()
    ]
    return "\n".join(
        (
            _head(tell, "event", "meaning", "fields"),
            *events,
            "",
            f"## {tell('A message')}",
            "",
            _head(tell, "field", "type", "meaning"),
            *described,
        )
    )


def _head(tell: Translate, *names: str) -> str:
    return f"| {' | '.join(map(tell, names))} |\n|{' --- |' * len(names)}"


def _fields(event: dict[str, Any], tell: Translate, *without: str) -> str:
    return "<br>".join(
        f"`{name}`: {_kind(of, tell)}" for name, of in event["properties"].items() if name not in without
    )


def _kind(of: dict[str, Any], tell: Translate) -> str:
    if "$ref" in of:
        return tell(of["$ref"].rpartition("/")[2])
    if "enum" in of:
        return tell(", ").join(f"`{value}`" for value in of["enum"])
    if "anyOf" in of:
        return tell(", or ").join(_kind(one, tell) for one in of["anyOf"])
    kinds = of["type"] if isinstance(of["type"], list) else [of["type"]]
    return tell(", or ").join(_named(kind, of, tell) for kind in kinds)


def _named(kind: str, of: dict[str, Any], tell: Translate) -> str:
    if kind == "array":
        return tell("list: %s") % _kind(of["items"], tell)
    if kind == "object" and "properties" in of:
        return tell("object of %s") % tell(", ").join(_members(of, tell))
    if kind == "object":
        return tell("object of names with each a %s") % _kind(of["additionalProperties"], tell)
    return tell(kind)


def _members(of: dict[str, Any], tell: Translate) -> Iterator[str]:
    for name, one in of["properties"].items():
        yield f"`{name}` ({_kind(one, tell)})"
