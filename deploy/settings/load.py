"""Read the settings files for one target, and name everything wrong with them at once."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import reduce
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from deploy import answers, remedies, words
from deploy.errors import Exit, Failure
from deploy.message import Message, Printed, Told, Value, say
from deploy.settings.model import SECTIONS, Database, Group, Settings, Target
from deploy.settings.written import Entry, Place, Problems, given, merge, misread, read

# Top-level keys of Invoke and Fabric themselves: legal in their configuration files, and not ours to judge.
FOREIGN = {
    "authentication",
    "connect_kwargs",
    "debug",
    "forward_agent",
    "gateway",
    "inline_ssh_env",
    "load_ssh_configs",
    "port",
    "run",
    "runners",
    "ssh_config_path",
    "sudo",
    "tasks",
    "timeouts",
    "user",
}

_Shape = TypeVar("_Shape")

_TOP_KEYS = ("targets", "groups", "default_target", "lang")
# What deploy/language.py knows.
LANGUAGES = ("auto", "zh", "en")
_TARGET_KEYS = ("host", "path", "sudo", "local")
DEFAULT_TARGET = "prod"


@dataclass(frozen=True)
class Chosen:
    """What a verb works on: the settings of one target, or those of a group's, in the group's order."""

    name: str
    targets: tuple[Settings, ...]
    group: Group | None = None


def load(
    *,
    project: Path,
    extra: Path | None = None,
    target: str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read the settings of one target, as `choose` does; a group is refused."""
    chosen = choose(project=project, extra=extra, target=target, overrides=overrides)
    if chosen.group:
        raise Failure(
            say("%s is a group, and this is of one target", chosen.name),
            remedy=remedies.name_member(chosen.group.targets),
            code=Exit.USAGE,
        )
    return chosen.targets[0]


def choose(
    *,
    project: Path,
    extra: Path | None = None,
    target: str | None = None,
    only: Collection[str] = (),
    overrides: Mapping[str, object] | None = None,
) -> Chosen:
    """Read invoke.yaml, the targets of the sandboxes and the `-f` file, each over the one before, for a target.

    That may be a group, of which `only` these are meant. What the `-f` file says in general goes over what others say
    of the target, too. `overrides` has the shape of the file's sections and wins over everything.
    Raises one Failure (USAGE) that names every problem of every file, target and group.
    """
    name, resolved, groups = _read_all(project, extra, target, overrides)
    group = groups.get(name)
    names = _members(name, group, only)
    targets = tuple(settings for settings in map(resolved.get, names) if settings)
    for settings in targets:
        _refuse_placeholder(settings.target)
    return Chosen(name, targets, group)


def every(*, project: Path, extra: Path | None = None) -> tuple[Settings, ...]:
    """Read the same files for all targets, of which one may have a placeholder for its host; Failure as `choose`."""
    return tuple(filter(None, _read_all(project, extra, None, None)[1].values()))


def is_placeholder(target: Target) -> bool:
    host = target.host.rpartition("@")[2].partition(":")[0].lower()
    return host == "example.com" or host.endswith(".example.com")


def _read_all(
    project: Path, extra: Path | None, target: str | None, overrides: Mapping[str, object] | None
) -> tuple[str, dict[str, Settings | None], dict[str, Group | None]]:
    """Read all files: the name of the target or group that is meant, then the settings of all, and the groups."""
    problems = Problems()
    extras = [extra.expanduser()] if extra else []
    paths = [project / "invoke.yaml", *sorted(project.glob(".sandbox/*/target.yaml")), *extras]
    entries = [read(path, project, FOREIGN, problems) for path in paths]
    tree = reduce(merge, [entry for entry in entries if entry], given({}, Place("invoke.yaml")))
    last = (entries[-1] if extra else None) or given({}, Place("-f"))
    forced = given(overrides or {}, Place("overrides"))

    general = _only(_judged(tree, (*SECTIONS, *_TOP_KEYS), problems), SECTIONS)
    language = tree.value.get("lang")
    if language and language.value not in LANGUAGES:
        problems.add(language.place, say("must be one of %s", LANGUAGES))
    # Judged by themselves too, also where no target takes them as they are.
    _validate(_SETTINGS_SHAPE, merge(general, given({"target": {"name": "any"}}, general.place)), problems)
    _judged(forced, SECTIONS, problems)
    resolved = {
        name: _resolve(name, entry, (general, *_over(name, entry, last), forced), problems)
        for name, entry in _mapping(tree.value.get("targets"), problems).items()
    }
    groups = {
        name: _group(name, entry, resolved, problems)
        for name, entry in _mapping(tree.value.get("groups"), problems).items()
    }
    # With invoke.yaml unread, a target that seems to be missing says nothing.
    name = _select(tree, target, (*resolved, *groups), problems) if entries[0] else ""
    problems.end()
    return name, resolved, groups


def _group(name: str, entry: Entry, targets: Collection[str], problems: Problems) -> Group | None:
    group = _validate(_GROUP_SHAPE, entry, problems, Group)
    if name in targets:
        problems.add(entry.place, say("there is a target of this name too"))
    for member in group.targets if group else ():
        if member not in targets:
            problems.add(entry.place.below("targets"), _no_target(member, targets))
    if group and len(set(group.targets)) < len(group.targets):
        problems.add(entry.place.below("targets"), say("names a target twice"))
    if group and group.canary and group.canary.target not in group.targets:
        problems.add(entry.place.below("canary"), say("(%s) is none of the group's targets", group.canary.target))
    return group


def _members(name: str, group: Group | None, only: Collection[str]) -> tuple[str, ...]:
    """Name the targets that are meant, in the order of the group."""
    members = group.targets if group else (name,)
    if strange := [one for one in only if one not in members]:
        fact = say("--only: %s is none of %s", strange[0], members)
        raise Failure(fact, remedy=remedies.name_member(members), code=Exit.USAGE)
    return tuple(one for one in members if not only or one in only)


def _only(entry: Entry, keys: Iterable[str]) -> Entry:
    return Entry({key: entry.value[key] for key in keys if key in entry.value}, entry.place)


def _judged(entry: Entry, known: Iterable[str], problems: Problems) -> Entry:
    for key, below in entry.value.items():
        if key not in known:
            problems.add(below.place, _unknown(key, known))
    return entry


# Keys of before, with what became of them.
_RENAMED = {
    "postgres": say("is the section database now: with the kind postgres, and name for what was postgres.database"),
}


def _unknown(key: str, known: Iterable[str]) -> Message:
    if key in _RENAMED:
        return _RENAMED[key]
    meant = words.similar(key, known)
    return say("unknown key · did you mean %s?", meant) if meant else say("unknown key")


def _mapping(entry: Entry | None, problems: Problems) -> dict[str, Entry]:
    if entry is None:
        return {}
    if not isinstance(entry.value, dict):
        problems.add(entry.place, say("must be a mapping of keys to values"))
        return {}
    return entry.value


# From the tree to settings.


def _over(name: str, entry: Entry, last: Entry) -> tuple[Entry, Entry, Entry]:
    """What goes over the general settings: the target's own, then what the last file says, in general and of it."""
    targets = last.value.get("targets")
    named = targets.value.get(name) if targets and isinstance(targets.value, dict) else None
    own, said = (_sections(one) if one else given({}, last.place) for one in (entry, named))
    return own, _only(last, SECTIONS), said


def _sections(entry: Entry) -> Entry:
    return _only(entry, SECTIONS) if isinstance(entry.value, dict) else given({}, entry.place)


def _resolve(name: str, entry: Entry, layers: tuple[Entry, ...], problems: Problems) -> Settings | None:
    """Make the settings of a target of what was said, each layer over the one before."""
    own = Entry(_mapping(entry, problems), entry.place)
    _judged(own, (*_TARGET_KEYS, *SECTIONS), problems)
    target = Entry({**_only(own, _TARGET_KEYS).value, "name": Entry(name, entry.place)}, entry.place)
    _check_reach(name, target, problems)
    sections = reduce(merge, (_only(layer, SECTIONS) for layer in layers))
    whole = Entry({**sections.value, "target": target}, entry.place)
    settings = _validate(_SETTINGS_SHAPE, whole, problems)
    if settings:
        for loc, what in _conflicts(settings):
            problems.add(_at(whole, loc.split(".")).place, say("%s %s", loc, what))
    return settings


def _check_reach(name: str, target: Entry, problems: Problems) -> None:
    host, local = (key in target.value and target.value[key].value for key in ("host", "local"))
    if host and local is True:
        problems.add(
            target.place, say("has a host and local: true; drop targets.%s.host or targets.%s.local", name, name)
        )
    if not host and not local:
        problems.add(target.place, say("has no host; set targets.%s.host, or local: true to run on this machine", name))


def _conflicts(settings: Settings) -> Iterator[tuple[str, Message]]:
    app = PurePosixPath(settings.app.path)
    if PurePosixPath(settings.app.record).is_relative_to(app):
        yield "app.record", say("(%s) must lie outside of app.path (%s)", settings.app.record, str(app))
    for cache in settings.clean.caches:
        if app.is_relative_to(cache):
            yield "clean.caches", say("(%s) would empty app.path (%s)", cache, str(app))
    names = [check.name for check in settings.health.checks]
    if len(set(names)) < len(names):
        yield "health.checks", say("has two checks of the same name")
    yield from _database_conflicts(settings.database)
    if settings.backup.client and settings.database.in_service:
        yield "backup.client", say("(%s) counts only for a database with a url", settings.backup.client)
    if settings.health.timeout >= settings.confirm.timeout:
        yield (
            "confirm.timeout",
            say("(%s) must be longer than health.timeout (%s)", settings.confirm.timeout, settings.health.timeout),
        )
    if settings.restart.check not in names:
        yield (
            "restart.check",
            say("(%s) must be one of the health.checks: %s", settings.restart.check, tuple(names)),
        )


def _database_conflicts(database: Database) -> Iterator[tuple[str, Message]]:
    if database.kind == "sqlite" and not database.url and not database.name.startswith("/"):
        told = say(
            "(%s) must be the absolute path of SQLite's file in the app's container, or set database.url", database.name
        )
        yield "database.name", told
    if database.in_service and not database.service:
        yield "database.service", say("is empty: name the service that serves it, or set database.url")


def _validate(shape: TypeAdapter[_Shape], entry: Entry, problems: Problems, schema: type = Settings) -> _Shape | None:
    # As JSON: there, strict still takes a mapping for a section and a list for a tuple.
    try:
        return shape.validate_json(json.dumps(_bare(entry)))
    except ValidationError as error:
        found: dict[Place, list[Told]] = {}
        for detail in error.errors(include_url=False, include_input=False):
            place, what = _explain(entry, dict(detail), schema)
            found.setdefault(place, []).append(what)
        for place, whats in found.items():
            problems.add(place, reduce(lambda one, other: say("%s or %s", one, other), dict.fromkeys(whats)))
        return None


def _bare(entry: Entry) -> Any:
    match entry.value:
        case dict():
            return {key: _bare(below) for key, below in entry.value.items()}
        case list():
            return [_bare(below) for below in entry.value]
    return entry.value


def _at(entry: Entry, loc: Iterable[str | int]) -> Entry:
    """Walk to the deepest entry on the way: Pydantic names union members and missing keys too."""
    for part in loc:
        match entry.value, part:
            case dict(below), str() if part in below:
                entry = below[part]
            case list(items), int():
                entry = items[part]
            case _:
                return entry
    return entry


_WORDS = {
    "bool_type": say("must be true or false"),
    "int_type": say("must be a whole number"),
    "int_from_float": say("must be a whole number"),
    "tuple_type": say("must be a list"),
    "dict_type": say("must be a mapping of keys to values"),
    "mapping_type": say("must be a mapping of keys to values"),
    "dataclass_type": say("must be a mapping of keys to values"),
    "dataclass_exact_type": say("must be a mapping of keys to values"),
}


def _explain(tree: Entry, detail: dict[str, Any], schema: type) -> tuple[Place, Told]:
    kind, loc = detail["type"], detail["loc"]
    entry = _at(tree, loc)
    if kind == "unexpected_keyword_argument":
        return entry.place, _unknown(str(loc[-1]), _keys(schema, loc[:-1]))
    if kind == "missing":
        return entry.place.below(str(loc[-1])), say("is missing")
    if entry.value is None:
        return entry.place, say("has no value")
    if kind == "value_error":
        return entry.place, answers.said_by(detail["ctx"]["error"])
    if kind == "string_type":
        text = say("must be text")
        return entry.place, say("%s: %s", text, misread(entry.value, entry.written)) if entry.written else text
    return entry.place, _WORDS.get(kind, Printed(detail["msg"]))


def _keys(schema: type, loc: tuple[str | int, ...]) -> list[str]:
    """Name the keys that may stand at a place of the schema."""
    shape: Any = schema
    for part in loc:
        named = is_dataclass(shape) and isinstance(part, str)
        # Of a mapping the values, of a list the items.
        shape = get_type_hints(shape)[str(part)] if named else get_args(shape)[isinstance(part, str)]
        # A section that may be none.
        shape = (
            next((one for one in get_args(shape) if is_dataclass(one)), shape)
            if type(None) in get_args(shape)
            else shape
        )
    return [one.name for one in fields(shape)]


def _no_target(name: str, known: Iterable[str]) -> Message:
    names: Value = tuple(sorted(known)) or say("none")
    there = say("there are: %s", names)
    if meant := words.similar(name, known):
        there = say("did you mean %s? · %s", meant, there)
    return say("there is no target %s · %s", name, there)


def _select(tree: Entry, wanted: str | None, known: Collection[str], problems: Problems) -> str:
    """Choose the target or group, and report a default that does not exist even when another is wanted."""
    default = tree.value.get("default_target")
    name = default.value if default else DEFAULT_TARGET
    if not isinstance(name, str):
        problems.add(default.place, say("must be text"))
    elif name not in known and (default or wanted is None):
        place = default.place if default else Place("invoke.yaml", key="default_target")
        problems.add(place, _no_target(name, known))
    if wanted is not None and wanted not in known:
        problems.add(Place("--target"), _no_target(wanted, known))
    return wanted or name


def _refuse_placeholder(target: Target) -> None:
    if is_placeholder(target):
        raise Failure(
            say("the host of target %s is still the placeholder %s", target.name, target.host),
            remedy=remedies.replace_placeholder(target.name),
            code=Exit.USAGE,
        )


_SETTINGS_SHAPE = TypeAdapter(Settings)
_GROUP_SHAPE = TypeAdapter(Group)
