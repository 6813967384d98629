"""What settings files say: a tree that knows where each value was written, and the problems found in it."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from deploy import remedies
from deploy.errors import Exit, Failure
from deploy.message import Message, Told, Value, counted, say


@dataclass(frozen=True)
class Place:
    """Where something stands: the file, its line (0: none), the dotted key."""

    file: str
    line: int = 0
    key: str = ""

    def below(self, key: str, line: int = 0) -> "Place":
        """Name a key inside this one."""
        return Place(self.file, line or self.line, f"{self.key}.{key}" if self.key else key)

    def __str__(self) -> str:
        file = f"{self.file}:{self.line}" if self.line else self.file
        return f"{file}: {self.key}" if self.key else file


@dataclass(frozen=True)
class Entry:
    """A value and its place: a dict of text to Entry, a list of Entry, or a scalar.

    `written` is how a scalar that is not text stands in the file.
    """

    value: Any
    place: Place
    written: str = ""


class Problems:
    """Collects what is wrong: for each place the first thing found there."""

    def __init__(self) -> None:
        self._found: dict[Place, Told] = {}

    def add(self, place: Place, what: Told) -> None:
        """Note what is wrong at a place."""
        self._found.setdefault(place, what)

    def end(self) -> None:
        """Raise one Failure that names everything found, if anything was."""
        if not self._found:
            return
        files = list(dict.fromkeys(place.file for place in self._found))
        ordered = sorted(self._found, key=lambda place: (files.index(place.file), place.line))
        raise Failure(
            counted(len(self._found), "a setting is wrong", "%s settings are wrong"),
            evidence=tuple(say("%s: %s", str(place), self._found[place]) for place in ordered),
            remedy=remedies.CORRECT_SETTINGS,
            code=Exit.USAGE,
        )


def read(path: Path, project: Path, ignored: Collection[str], problems: Problems) -> Entry | None:
    """Read a YAML or JSON file without the top-level keys to be ignored; None when there is nothing to go on."""
    place = Place(str(path.relative_to(project)) if path.is_relative_to(project) else str(path))
    if path.suffix not in (".yaml", ".yml", ".json"):
        problems.add(place, say("must be a .yaml, .yml or .json file"))
        return None
    try:
        entry = _parse(path.read_text(encoding="utf-8-sig"), place, ignored, problems)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        problems.add(*_why(error, place))
        return None
    if not isinstance(entry.value, dict):
        problems.add(place, say("must be a mapping of keys to values"))
        return None
    return entry


def _why(error: Exception, place: Place) -> tuple[Place, Message]:
    match error:
        case FileNotFoundError():
            return place, say("there is no such file")
        case OSError():
            return place, say("cannot be read: %s", str(error.strerror))
        case UnicodeDecodeError():
            return place, say("is not UTF-8 text")
        case yaml.MarkedYAMLError(problem_mark=yaml.Mark(line=line)):
            return place.below("", line + 1), say("is not valid YAML: %s", str(error.problem))
        case yaml.YAMLError():
            return place, say("is not valid YAML: %s", str(error).splitlines()[0])
    return place, say("contains itself, by an alias")


def _parse(text: str, place: Place, ignored: Collection[str], problems: Problems) -> Entry:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if isinstance(node, yaml.MappingNode):
            node.value = [member for member in node.value if str(member[0].value) not in ignored]
        return _entry(loader, node, place, problems) if node else Entry({}, place)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Remembers the keys that repeat one of the same mapping."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: set[yaml.Node] = set()

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                self.repeated.add(key)
            seen.add(str(key.value))
        return node


def _entry(loader: _Loader, node: yaml.Node, place: Place, problems: Problems) -> Entry:
    if isinstance(node, yaml.MappingNode):
        return Entry(dict(_members(loader, node, place, problems)), place)
    if isinstance(node, yaml.SequenceNode):
        lines = [(item, place.below(str(at), item.start_mark.line + 1)) for at, item in enumerate(node.value)]
        return Entry([_entry(loader, item, at, problems) for item, at in lines], place)
    return _scalar(loader, node, place, problems)


def _members(loader: _Loader, node: yaml.MappingNode, place: Place, problems: Problems) -> Iterator[tuple[str, Entry]]:
    loader.flatten_mapping(node)
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            problems.add(place.below("?", line), say("a key must be text"))
            continue
        name = _printable(key.value)
        here = place.below(name, line)
        if key in loader.repeated:
            problems.add(here, say("stands here more than once"))
        _scalar(loader, key, here, problems, text=True)
        yield name, _entry(loader, value, here, problems)


def _scalar(loader: _Loader, node: yaml.Node, place: Place, problems: Problems, *, text: bool = False) -> Entry:
    """Build a scalar, and report one that YAML takes for something else than it looks like."""
    written = _printable(node.value)
    if written != node.value:
        problems.add(place, say("contains a character that is none: half of a surrogate pair"))
        return Entry(written, place)
    try:
        value = loader.construct_object(node)
    except (ValueError, ConstructorError):
        problems.add(place, say("YAML cannot make a value of %s: quote it (%s)", written, json.dumps(written)))
        return Entry(written, place)
    if isinstance(value, str):
        return Entry(value, place)
    if not text and _as_it_looks(value, written):
        return Entry(value, place, written)
    told = misread(value, written)
    if isinstance(value, int) and not text:
        told = say("%s, or write %s", told, json.dumps(value))
    problems.add(place, told)
    return Entry(written, place)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _as_it_looks(value: object, written: str) -> bool:
    if isinstance(value, bool | int):
        return str(value).lower() == written.lower()
    return value is None or isinstance(value, float)


def misread(value: object, written: str) -> Message:
    """Say what YAML takes an unquoted text for, and how to write it as text."""
    kind: Value
    match value:
        case None:
            kind = say("nothing")
        case bool():
            kind = json.dumps(value)
        case int() | float():
            kind = say("a number") if str(value) == written else say("the number %s", value)
        case _:
            kind = say("a date or other data")
    return say("YAML takes %s for %s: quote it (%s)", written, kind, json.dumps(written, ensure_ascii=False))


def given(value: object, place: Place) -> Entry:
    """Wrap values that the program gives."""
    if isinstance(value, Mapping):
        return Entry({str(key): given(item, place.below(str(key))) for key, item in value.items()}, place)
    if isinstance(value, list | tuple):
        return Entry([given(item, place.below(str(at))) for at, item in enumerate(value)], place)
    return Entry(value, place)


def merge(under: Entry, over: Entry) -> Entry:
    """Merge mappings key by key; anything else, lists included, is replaced."""
    if not isinstance(under.value, dict) or not isinstance(over.value, dict):
        return over
    merged = {key: merge(under.value[key], entry) if key in under.value else entry for key, entry in over.value.items()}
    return Entry({**under.value, **merged}, over.place)
