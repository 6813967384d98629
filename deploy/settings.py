"""Frozen, typed settings of one target; `load` reads the files and names everything wrong with them at once.

The defaults stand here; invoke.yaml shows them with a comment each, and a test holds the two equal.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import field, fields
from functools import reduce
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from deploy.errors import Exit, Failure
from deploy.written import Entry, Place, Problems, given, merge, misread, read

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
_Many = TypeVar("_Many", bound=Sized)


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not contain a NUL character")
    return value


def _name(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if value.startswith("-"):
        raise ValueError("must not start with -, or programs take it for an option")
    return _text(value)


def _host(value: str) -> str:
    if not value:
        return value
    if re.search(r"\s", value):
        raise ValueError("must be user@host:port or an alias from ssh_config, without spaces")
    return _name(value)


def _pattern(value: str) -> str:
    path = PurePosixPath(_name(value.removeprefix("!")))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a pattern from the repository's root, without / at its start and without ..")
    return value


def _exclusion(value: str) -> str:
    if value.startswith("!"):
        raise ValueError("must not start with !: exceptions are not supported here")
    return _pattern(value)


def _relative(value: str) -> str:
    path = PurePosixPath(_name(value))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("must be a relative path below its folder, without ..")
    # Normal form (userdata for ./userdata/): these are compared with the names that git tells.
    return str(path)


def _absolute(value: str) -> str:
    path = PurePosixPath(_text(value))
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("must be an absolute path, without ..")
    if len(path.parts) == 1:
        raise ValueError("must not be the root folder")
    return str(path)


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError("must be at least 1")
    return value


def _natural(value: int) -> int:
    if value < 0:
        raise ValueError("must not be negative")
    return value


def _url(value: str) -> str:
    if value.startswith("https:"):
        raise ValueError("https is not supported: the checks speak http to the production host's loopback interface")
    found = re.fullmatch(r"http://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", value)
    if not found or not 0 < int(found[1] or 80) < 65536:
        raise ValueError("must be http://host or http://host:port; what follows belongs into paths")
    return value


def _url_path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]*", value):
        raise ValueError("must be a URL path: it starts with / and has no spaces")
    return value


def _column(value: str) -> str:
    if not re.fullmatch(r"[^.\0]+\.[^.\0]+", value):
        raise ValueError("must be table.column")
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("must be the name of an environment variable")
    return value


def _some(value: _Many) -> _Many:
    if not value:
        raise ValueError("must not be empty")
    return value


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]
Host = Annotated[str, AfterValidator(_host)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Exclusion = Annotated[str, AfterValidator(_exclusion)]
RelativePath = Annotated[str, AfterValidator(_relative)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Positive = Annotated[int, AfterValidator(_positive)]
Natural = Annotated[int, AfterValidator(_natural)]
Url = Annotated[str, AfterValidator(_url)]
UrlPath = Annotated[str, AfterValidator(_url_path)]
Variable = Annotated[str, AfterValidator(_variable)]
Column = Annotated[str, AfterValidator(_column)]

_STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Target:
    """The deployment directory `path` on a host reached by SSH, or on this machine."""

    name: Name
    host: Host = ""
    path: AbsolutePath = "/opt/whalefall"
    sudo: bool = False
    local: bool = False


@dataclass(frozen=True, config=_STRICT)
class Ssh:
    """How to connect; times in seconds, empty texts leave it to ssh_config and the agent."""

    connect_timeout: Positive = 10
    identity: Text = ""
    known_hosts: Text = ""


@dataclass(frozen=True, config=_STRICT)
class Git:
    """Where releases come from; times in seconds."""

    remote: Name = "origin"
    branch: Name = "main"
    fetch_timeout: Positive = 60


@dataclass(frozen=True, config=_STRICT)
class Compose:
    """The Compose file, relative to the deployment directory."""

    file: RelativePath = "docker-compose.prod.yml"


@dataclass(frozen=True, config=_STRICT)
class Env:
    """The file with the production secrets and the keys that must have a value in it."""

    file: RelativePath = ".env"
    required: tuple[Name, ...] = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "SECRET_KEY")


@dataclass(frozen=True, config=_STRICT)
class Secrets:
    """Which values of the env file are never shown."""

    words: tuple[Name, ...] = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")
    min_length: Positive = 8


@dataclass(frozen=True, config=_STRICT)
class App:
    """The app's service and container, and what lies where in it."""

    service: Name = "whalefall"
    container: Name = "whalefall_app_prod"
    image: Name = "whalefall:prod"
    path: AbsolutePath = "/app"
    user: Text = ""
    python: Name = "/app/.venv/bin/python"
    flask: Name = "/app/.venv/bin/flask"
    server: Name = "gunicorn"
    record: AbsolutePath = "/var/lib/hot-update"
    logs: tuple[AbsolutePath, ...] = (
        "/var/log/supervisord.log",
        "/var/log/nginx/whalefall_error.log",
        "/app/userdata/logs/gunicorn_error.log",
        "/app/userdata/logs/whalefall_error.log",
        "/app/userdata/logs/whalefall.log",
        "/app/userdata/logs/gunicorn_access.log",
        "/var/log/nginx/whalefall_access.log",
    )


@dataclass(frozen=True, config=_STRICT)
class Postgres:
    """The database's service and container, and how to ask it."""

    service: Name = "postgres"
    container: Name = "whalefall_postgres_prod"
    user: Name = "whalefall_user"
    database: Name = "whalefall_prod"


@dataclass(frozen=True, config=_STRICT)
class Redis:
    """The service and the container of Redis."""

    service: Name = "redis"
    container: Name = "whalefall_redis_prod"


@dataclass(frozen=True, config=_STRICT)
class Preflight:
    """What a hot update needs and what it cannot do."""

    min_free_mib: Natural = 256
    unsuitable: tuple[Pattern, ...] = (
        "pyproject.toml",
        "uv.lock",
        "requirements*.txt",
        "Dockerfile*",
        "docker-compose.prod.yml",
        "nginx/**",
        "!nginx/gunicorn/**",
        "!nginx/local/**",
    )
    installed: Mapping[RelativePath, AbsolutePath] = field(
        default_factory=lambda: {
            "nginx/sites-available/whalefall-prod": "/etc/nginx/sites-enabled/whalefall",
            "nginx/supervisor/whalefall-prod.conf": "/etc/supervisor/conf.d/whalefall.conf",
        }
    )


@dataclass(frozen=True, config=_STRICT)
class Copy:
    """What the copy leaves alone, and what it makes from tracked files; paths relative to app.path."""

    protected: tuple[RelativePath, ...] = (".env", ".venv", "userdata")
    exclude: tuple[Exclusion, ...] = ()
    derived: Mapping[RelativePath, RelativePath] = field(
        default_factory=lambda: {"gunicorn.conf.py": "nginx/gunicorn/gunicorn-prod.conf.py"}
    )


@dataclass(frozen=True, config=_STRICT)
class Clean:
    """Cache folders in the container that are emptied."""

    caches: tuple[AbsolutePath, ...] = ("/var/cache/nginx",)


@dataclass(frozen=True, config=_STRICT)
class StampRule:
    """The revision of a schema in which each table.column is `present`, `absent` or of the type named."""

    revision: Name
    columns: Annotated[Mapping[Column, Name], AfterValidator(_some)]


@dataclass(frozen=True, config=_STRICT)
class Migrate:
    """Where the migrations lie, how long one may take in seconds, and what to stamp an unstamped database with."""

    directory: RelativePath = "migrations"
    timeout: Positive = 600
    environment: Mapping[Variable, Text] = field(default_factory=lambda: {"ENABLE_SCHEDULER": "false"})
    stamp: tuple[StampRule, ...] = (
        StampRule("20251219161048", {"credentials.instance_ids": "present"}),
        StampRule(
            "20251224120000",
            {
                "credentials.instance_ids": "absent",
                "database_size_aggregations.calculated_at": "timestamp without time zone",
            },
        ),
        StampRule(
            "20251224134000",
            {
                "credentials.instance_ids": "absent",
                "database_size_aggregations.calculated_at": "timestamp with time zone",
            },
        ),
    )


@dataclass(frozen=True, config=_STRICT)
class Restart:
    """How long the app may take to answer, by which health check, in seconds; and what to run in the container then."""

    timeout: Positive = 120
    check: Name = "direct"
    reload: tuple[Name, ...] = ("nginx -t", "nginx -s reload")


@dataclass(frozen=True, config=_STRICT)
class Check:
    """One question to the app: of `paths` the first that does not answer 404 counts, by the values in `expect`."""

    name: Name
    url: Url
    paths: Annotated[tuple[UrlPath, ...], AfterValidator(_some)]
    expect: Mapping[Name, str | bool | int] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class Health:
    """The checks; times in seconds."""

    timeout: Positive = 60
    request_timeout: Positive = 10
    checks: Annotated[tuple[Check, ...], AfterValidator(_some)] = (
        Check("nginx", "http://localhost", ("/api/v1/health/basic",), {"data.status": "healthy"}),
        Check(
            "direct",
            "http://localhost:5001",
            ("/api/v1/health/health", "/api/v1/health"),
            {"data.status": "healthy", "data.database": "connected", "data.redis": "connected"},
        ),
    )


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Sections:
    """Every section that stands at the top of invoke.yaml and that a target may override."""

    ssh: Ssh = field(default_factory=Ssh)
    git: Git = field(default_factory=Git)
    compose: Compose = field(default_factory=Compose)
    env: Env = field(default_factory=Env)
    secrets: Secrets = field(default_factory=Secrets)
    app: App = field(default_factory=App)
    postgres: Postgres = field(default_factory=Postgres)
    redis: Redis = field(default_factory=Redis)
    preflight: Preflight = field(default_factory=Preflight)
    copy: Copy = field(default_factory=Copy)
    clean: Clean = field(default_factory=Clean)
    migrate: Migrate = field(default_factory=Migrate)
    restart: Restart = field(default_factory=Restart)
    health: Health = field(default_factory=Health)


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Settings(Sections):
    """All settings of one target, its own over the general ones."""

    target: Target


SECTIONS = tuple(section.name for section in fields(Sections))
_TARGET_KEYS = ("host", "path", "sudo", "local")
_DEFAULT_TARGET = "prod"


def load(
    *,
    project: Path,
    extra: Path | None = None,
    target: str | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read invoke.yaml, the targets of the sandboxes and the `-f` file, each over the one before, for one target.

    `overrides` has the shape of the file's sections and wins over everything.
    Raises one Failure (USAGE) that names every problem of every file and target.
    """
    problems = Problems()
    extras = [extra.expanduser()] if extra else []
    paths = [project / "invoke.yaml", *sorted(project.glob(".sandbox/*/target.yaml")), *extras]
    entries = [read(path, project, FOREIGN, problems) for path in paths]
    tree = reduce(merge, [entry for entry in entries if entry], given({}, Place("invoke.yaml")))
    forced = given(overrides or {}, Place("overrides"))

    general = _only(_judged(tree, (*SECTIONS, "targets", "default_target"), problems), SECTIONS)
    _validate(_SECTIONS_SHAPE, general, problems)
    _judged(forced, SECTIONS, problems)
    resolved = {
        name: _resolve(name, entry, general, forced, problems)
        for name, entry in _mapping(tree.value.get("targets"), problems).items()
    }
    # With invoke.yaml unread, a target that seems to be missing says nothing.
    name = _select(tree, target, resolved, problems) if entries[0] else ""
    problems.end()

    settings = resolved[name]
    assert settings, "a target without problems has settings"
    _refuse_placeholder(settings.target)
    return settings


def _only(entry: Entry, keys: Iterable[str]) -> Entry:
    return Entry({key: entry.value[key] for key in keys if key in entry.value}, entry.place)


def _judged(entry: Entry, known: Iterable[str], problems: Problems) -> Entry:
    for key, below in entry.value.items():
        if key not in known:
            problems.add(below.place, _unknown(key, known))
    return entry


def _unknown(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return "unknown key" + (f" · did you mean {close[0]}?" if close else "")


def _mapping(entry: Entry | None, problems: Problems) -> dict[str, Entry]:
    if entry is None:
        return {}
    if not isinstance(entry.value, dict):
        problems.add(entry.place, "must be a mapping of keys to values")
        return {}
    return entry.value


# From the tree to settings.


def _resolve(name: str, entry: Entry, general: Entry, forced: Entry, problems: Problems) -> Settings | None:
    """Lay a target's own settings over the general ones."""
    own = Entry(_mapping(entry, problems), entry.place)
    _judged(own, (*_TARGET_KEYS, *SECTIONS), problems)
    target = Entry({**_only(own, _TARGET_KEYS).value, "name": Entry(name, entry.place)}, entry.place)
    _check_reach(name, target, problems)
    sections = reduce(merge, (general, _only(own, SECTIONS), _only(forced, SECTIONS)))
    whole = Entry({**sections.value, "target": target}, entry.place)
    settings = _validate(_SETTINGS_SHAPE, whole, problems)
    if settings:
        for loc, what in _conflicts(settings):
            problems.add(_at(whole, loc.split(".")).place, f"{loc} {what}")
    return settings


def _check_reach(name: str, target: Entry, problems: Problems) -> None:
    host, local = (key in target.value and target.value[key].value for key in ("host", "local"))
    if host and local is True:
        problems.add(target.place, f"has a host and local: true; drop targets.{name}.host or targets.{name}.local")
    if not host and not local:
        problems.add(target.place, f"has no host; set targets.{name}.host, or local: true to run on this machine")


def _conflicts(settings: Settings) -> Iterator[tuple[str, str]]:
    app = PurePosixPath(settings.app.path)
    if PurePosixPath(settings.app.record).is_relative_to(app):
        yield "app.record", f"({settings.app.record}) must lie outside of app.path ({app})"
    for cache in settings.clean.caches:
        if app.is_relative_to(cache):
            yield "clean.caches", f"({cache}) would empty app.path ({app})"
    names = [check.name for check in settings.health.checks]
    if len(set(names)) < len(names):
        yield "health.checks", "has two checks of the same name"
    if settings.restart.check not in names:
        yield "restart.check", f"({settings.restart.check}) must be one of the health.checks: {', '.join(names)}"


def _validate(shape: TypeAdapter[_Shape], entry: Entry, problems: Problems) -> _Shape | None:
    # As JSON: there, strict still takes a mapping for a section and a list for a tuple.
    try:
        return shape.validate_json(json.dumps(_bare(entry)))
    except ValidationError as error:
        found: dict[Place, list[str]] = {}
        for detail in error.errors(include_url=False, include_input=False):
            place, what = _explain(entry, dict(detail))
            found.setdefault(place, []).append(what)
        for place, whats in found.items():
            problems.add(place, " or ".join(dict.fromkeys(whats)))
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
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "mapping_type": "must be a mapping of keys to values",
    "dataclass_type": "must be a mapping of keys to values",
    "dataclass_exact_type": "must be a mapping of keys to values",
}


def _explain(tree: Entry, detail: dict[str, Any]) -> tuple[Place, str]:
    kind, loc = detail["type"], detail["loc"]
    entry = _at(tree, loc)
    if kind == "unexpected_keyword_argument":
        return entry.place, _unknown(str(loc[-1]), _keys(loc[:-1]))
    if kind == "missing":
        return entry.place.below(str(loc[-1])), "is missing"
    if entry.value is None:
        return entry.place, "has no value"
    if kind == "value_error":
        return entry.place, str(detail["ctx"]["error"])
    if kind == "string_type":
        return entry.place, "must be text" + (f": {misread(entry.value, entry.written)}" if entry.written else "")
    return entry.place, _WORDS.get(kind, detail["msg"])


def _keys(loc: tuple[str | int, ...]) -> list[str]:
    """Name the keys that may stand at a place of the schema."""
    shape: Any = Settings
    for part in loc:
        shape = get_type_hints(shape)[part] if isinstance(part, str) else get_args(shape)[0]
    return [one.name for one in fields(shape)]


def _select(tree: Entry, wanted: str | None, known: Iterable[str], problems: Problems) -> str:
    """Choose the target, and report a default that does not exist even when another is wanted."""
    there_are = f"there are: {', '.join(sorted(known)) or 'none'}"
    default = tree.value.get("default_target")
    name = default.value if default else _DEFAULT_TARGET
    if not isinstance(name, str):
        problems.add(default.place, "must be text")
    elif name not in known and (default or wanted is None):
        place = default.place if default else Place("invoke.yaml", key="default_target")
        problems.add(place, f"there is no target {name} · {there_are}")
    if wanted is not None and wanted not in known:
        problems.add(Place("--target"), f"there is no target {wanted} · {there_are}")
    return wanted or name


def _refuse_placeholder(target: Target) -> None:
    host = target.host.rpartition("@")[2].partition(":")[0].lower()
    if host != "example.com" and not host.endswith(".example.com"):
        return
    raise Failure(
        f"the host of target {target.name} is still the placeholder {target.host}",
        remedy=f"set targets.{target.name}.host in invoke.yaml, or choose another target with --target",
        code=Exit.USAGE,
    )


_SECTIONS_SHAPE = TypeAdapter(Sections)
_SETTINGS_SHAPE = TypeAdapter(Settings)
