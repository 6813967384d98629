"""The settings of one target, frozen and typed, with their defaults and what each value must be like.

invoke.yaml shows the defaults with a comment each, and a test holds the two equal.
"""

import re
import signal
from collections.abc import Mapping, Sized
from dataclasses import field, fields
from ipaddress import ip_network
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Strict, ValidationInfo
from pydantic.dataclasses import dataclass

from deploy.message import say

_Many = TypeVar("_Many", bound=Sized)


class Unit(NamedTuple):
    """What a number counts, for docs/settings.md."""

    name: str


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError(say("must not contain a NUL character"))
    return value


def _name(value: str) -> str:
    if not value.strip():
        raise ValueError(say("must not be empty"))
    if value.startswith("-"):
        raise ValueError(say("must not start with -, or programs take it for an option"))
    return _text(value)


def _host(value: str) -> str:
    if not value:
        return value
    if re.search(r"\s", value):
        raise ValueError(say("must be user@host:port or an alias from ssh_config, without spaces"))
    return _name(value)


def _pattern(value: str) -> str:
    path = PurePosixPath(_name(value.removeprefix("!")))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(say("must be a pattern from the repository's root, without / at its start and without .."))
    return value


def _exclusion(value: str) -> str:
    if value.startswith("!"):
        raise ValueError(say("must not start with !: exceptions are not supported here"))
    return _pattern(value)


def _relative(value: str) -> str:
    path = PurePosixPath(_name(value))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(say("must be a relative path below its folder, without .."))
    # Normal form (userdata for ./userdata/): these are compared with the names that git tells.
    return str(path)


def _absolute(value: str) -> str:
    path = PurePosixPath(_text(value))
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(say("must be an absolute path, without .."))
    if len(path.parts) == 1:
        raise ValueError(say("must not be the root folder"))
    return str(path)


def _folder(value: str) -> str:
    return _absolute(value) if value else value


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError(say("must be at least 1"))
    return value


def _natural(value: int) -> int:
    if value < 0:
        raise ValueError(say("must not be negative"))
    return value


def _url(value: str) -> str:
    found = re.fullmatch(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?", value)
    if not found or not 0 < int(found[1] or 80) < 65536:
        raise ValueError(say("must be http(s)://host or http(s)://host:port; what follows belongs into paths"))
    return value


def _url_path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]*", value):
        raise ValueError(say("must be a URL path: it starts with / and has no spaces"))
    return value


def _address(value: str) -> str:
    try:
        return str(ip_network(value, strict=False))
    except ValueError:
        raise ValueError(say("must be an address, or a network such as 10.1.0.0/16")) from None


def _probe_urls(value: str) -> str:
    return " ".join(_probe_url(url) for url in value.split())


def _probe_url(value: str) -> str:
    found = re.fullmatch(r"(https?://[^/]+)(/[!-~]*)?", value)
    if not found:
        raise ValueError(
            say("must be http(s)://host:port/path, as the production host reaches it, or several between spaces")
        )
    return _url(found[1]) + (found[2] or "")


def _column(value: str) -> str:
    if not re.fullmatch(r"[^.\0]+\.[^.\0]+", value):
        raise ValueError(say("must be table.column"))
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(say("must be the name of an environment variable"))
    return value


def _host_header(value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9._\[\]:-]+", value):
        raise ValueError(say("must be a name, or name:port, as browsers send it"))
    return value


def _word(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise ValueError(say("must be a word of letters, digits, _, . and -"))
    return value


def _unless_none(value: Any, info: ValidationInfo) -> Any:
    # As which files are read: there, nothing has been said.
    if value is None and info.mode == "json":
        raise ValueError(say("has no value"))
    return None if value == "none" else value


def _batch(value: int | str) -> int | str:
    text = str(value)
    share = re.fullmatch(r"(\d{1,3})%", text)
    if text != "all" and not (0 < int(share[1]) <= 100 if share else text.isdecimal() and int(text) > 0):
        raise ValueError(say("must be a number of targets, a share of them such as 25%%, or all"))
    return value


def _some(value: _Many) -> _Many:
    if not value:
        raise ValueError(say("must not be empty"))
    return value


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, AfterValidator(_name)]
HostHeader = Annotated[str, AfterValidator(_host_header)]
Word = Annotated[str, AfterValidator(_word)]
Host = Annotated[str, AfterValidator(_host)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Exclusion = Annotated[str, AfterValidator(_exclusion)]
RelativePath = Annotated[str, AfterValidator(_relative)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Folder = Annotated[str, AfterValidator(_folder)]
Positive = Annotated[int, AfterValidator(_positive)]
Natural = Annotated[int, AfterValidator(_natural)]
Timeout = Annotated[Positive, Unit("seconds")]
Seconds = Annotated[Natural, Unit("seconds")]
Url = Annotated[str, AfterValidator(_url)]
Address = Annotated[str, AfterValidator(_address)]
UrlPath = Annotated[str, AfterValidator(_url_path)]
ProbeUrls = Annotated[str, AfterValidator(_probe_urls)]
Variable = Annotated[str, AfterValidator(_variable)]
OptionalVariable = Annotated[str, AfterValidator(lambda value: _variable(value) if value else value)]
Column = Annotated[str, AfterValidator(_column)]
Batch = Annotated[int | str, AfterValidator(_batch)]

# Deferred: a validator of every section by itself is built only where one is used alone.
_STRICT = ConfigDict(strict=True, extra="forbid", defer_build=True)


@dataclass(frozen=True, config=_STRICT)
class Target:
    """The deployment directory `path` on a host reached by SSH, or on this machine."""

    name: Name
    host: Host = ""
    path: AbsolutePath = "/opt/whalefall"
    sudo: bool = False
    local: bool = False


@dataclass(frozen=True, config=_STRICT)
class Canary:
    """The target of a group that is updated first, and for how many seconds it is watched before it is confirmed."""

    target: Name
    watch: Seconds = 60


@dataclass(frozen=True, config=_STRICT)
class Group:
    """Targets that are updated as one: confirmed `together` or not at all, or `each` batch by itself.

    `batch` is how many at a time then, a number, a share or all, and `pause` the seconds between two; `canary` goes
    first. `parallel` is how many are connected to at once.
    """

    targets: Annotated[tuple[Name, ...], AfterValidator(_some)]
    commit: Literal["together", "each"] = "together"
    batch: Batch = 1
    pause: Seconds = 0
    canary: Canary | None = None
    parallel: Positive = 10


@dataclass(frozen=True, config=_STRICT)
class Ssh:
    """How to connect; times in seconds, empty texts leave it to ssh_config and the agent."""

    connect_timeout: Timeout = 10
    identity: Text = ""
    known_hosts: Text = ""


@dataclass(frozen=True, config=_STRICT)
class Git:
    """Where releases come from; times in seconds."""

    remote: Name = "origin"
    branch: Name = "main"
    fetch_timeout: Timeout = 60
    via: Literal["host", "laptop"] = "host"
    proxy: Literal["", "from-env"] = ""
    # The laptop's own clone.
    clone: Text = ""


@dataclass(frozen=True, config=_STRICT)
class Compose:
    """The Compose file, relative to the deployment directory, and services that have to be up beside the named ones."""

    file: RelativePath = "docker-compose.prod.yml"
    needs: tuple[Name, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class Env:
    """The file with the production secrets and the keys that must have a value in it.

    Where there is none, the secrets are those that the containers were given.
    """

    file: RelativePath = ".env"
    # Where a section may be none, pydantic is given Python's lists, not those of JSON.
    required: Annotated[tuple[Name, ...], Strict(False)] = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "SECRET_KEY")


@dataclass(frozen=True, config=_STRICT)
class Secrets:
    """Which values of the env file are never shown."""

    words: tuple[Name, ...] = (
        "PASS",
        "SECRET",
        "KEY",
        "TOKEN",
        "URL",
        "DSN",
        "CRED",
        "AUTH",
        "PRIVATE",
        "SALT",
        "WEBHOOK",
    )
    keys: tuple[Name, ...] = ()
    min_length: Annotated[Positive, Unit("characters")] = 8


@dataclass(frozen=True, config=_STRICT)
class App:
    """The app's service and container, and what lies where in it; no container: the one that Compose made for it."""

    service: Name = "whalefall"
    container: Text = "whalefall_app_prod"
    image: Name = "whalefall:prod"
    path: AbsolutePath = "/app"
    user: Text = ""
    python: Name = "/app/.venv/bin/python"
    flask: Name = "/app/.venv/bin/flask"
    server: Name = "gunicorn"
    record: AbsolutePath = "/var/lib/hot-update"
    logs: tuple[AbsolutePath, ...] = (
        "/var/log/supervisord.log",
        "/var/log/nginx/nginx.log",
        "/var/log/nginx/whalefall_error.log",
        "/app/userdata/logs/gunicorn_error.log",
        "/app/userdata/logs/gunicorn_scheduler_error.log",
        "/app/userdata/logs/whalefall_web_error.log",
        "/app/userdata/logs/whalefall_scheduler_error.log",
        "/app/userdata/logs/app.log",
        "/app/userdata/logs/whalefall_web.log",
        "/app/userdata/logs/whalefall_scheduler.log",
        "/app/userdata/logs/gunicorn_access.log",
        "/app/userdata/logs/gunicorn_scheduler_access.log",
        "/var/log/nginx/whalefall_access.log",
    )


@dataclass(frozen=True, config=_STRICT)
class Database:
    """What database the app has, and where: a service of Compose, or what the URL in a variable of its container names.

    SQLite's file is at that URL, or without one it is `name`, an absolute path in the app's container.
    """

    kind: Literal["postgres", "mysql", "sqlite", "none"] = "postgres"
    service: Text = "postgres"
    container: Text = "whalefall_postgres_prod"
    user: Name = "whalefall_user"
    name: Name = "whalefall_prod"
    url: OptionalVariable = ""

    @property
    def in_service(self) -> bool:
        """Does a container of its own serve it?"""
        return self.kind in ("postgres", "mysql") and not self.url


@dataclass(frozen=True, config=_STRICT)
class Redis:
    """The service and the container of Redis."""

    service: Name = "redis"
    container: Text = "whalefall_redis_prod"


@dataclass(frozen=True, config=_STRICT)
class Preflight:
    """What a hot update needs and what it cannot do."""

    min_free_mib: Annotated[Natural, Unit("MiB")] = 256
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


@dataclass(frozen=True, config=_STRICT)
class Copy:
    """What the copy leaves alone, and what it makes from tracked files; paths relative to app.path."""

    protected: tuple[RelativePath, ...] = (".env", ".venv", "userdata")
    exclude: tuple[Exclusion, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class FilePlace:
    """Where the image keeps a file; where that is a template, `rendered` is what is made from it."""

    path: AbsolutePath
    rendered: Folder = ""


@dataclass(frozen=True, config=_STRICT)
class File:
    """A tracked file that has its place elsewhere: of `places` the first that is there counts.

    `render` are the variables that a template has, each with its default. `check` and `apply` are run in the container.
    `when` the release changes it, when it is `asked` for, or `never`: that needs the standard deployment.
    """

    source: RelativePath
    places: Annotated[tuple[FilePlace, ...], AfterValidator(_some)]
    render: Mapping[Variable, Text] = field(default_factory=dict)
    check: Text = ""
    apply: Text = ""
    when: Literal["changed", "asked", "never"] = "changed"


@dataclass(frozen=True, config=_STRICT)
class Built:
    """A folder that is made from `sources`, and that git does not know; `path` in the repository and below app.path.

    `where` a release's is found, on the host or on the laptop: in the clone there, or made by `command` in a clean
    checkout of the commit. Times in seconds; `keep` is how long files stay that a newer one has no more.
    """

    path: RelativePath
    sources: Annotated[tuple[Exclusion, ...], AfterValidator(_some)]
    where: Literal["host", "laptop"] = "host"
    command: Text = ""
    timeout: Timeout = 600
    keep: Seconds = 3600

    @property
    def pathspecs(self) -> tuple[str, ...]:
        """The sources as git is asked for them."""
        return tuple(f":(glob){pattern}" for pattern in self.sources)


# WhaleFall's, in both of its shapes.
FILES = {
    "gunicorn": File("nginx/gunicorn/gunicorn-prod.conf.py", (FilePlace("/app/gunicorn.conf.py"),)),
    "supervisor": File(
        "nginx/supervisor/whalefall-prod.conf",
        (FilePlace("/etc/supervisor/conf.d/whalefall.conf"),),
        check="supervisorctl reread",
        apply="supervisorctl update",
    ),
    "nginx": File(
        "nginx/sites-available/whalefall-prod",
        (
            FilePlace("/etc/nginx/templates/whalefall-prod.template", "/etc/nginx/sites-available/whalefall"),
            FilePlace("/etc/nginx/sites-enabled/whalefall"),
        ),
        render={
            "WHALEFALL_NGINX_SERVER_NAMES": "_",
            "WHALEFALL_NGINX_SSL_CERTIFICATE": "/etc/nginx/whalefall.crt",
            "WHALEFALL_NGINX_SSL_CERTIFICATE_KEY": "/etc/nginx/whalefall.key",
        },
        check="nginx -t",
        apply="nginx -s reload",
        when="asked",
    ),
}


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
class Proof:
    """How new code is proven to boot, beside the running release; in seconds, and with paths relative to app.path."""

    command: Name = "/app/.venv/bin/gunicorn --check-config --config gunicorn.conf.py wsgi:application"
    environment: Mapping[Variable, Text] = field(default_factory=lambda: {"ENABLE_SCHEDULER": "false"})
    scratch: tuple[RelativePath, ...] = ("userdata",)
    database: Literal["read-only", "writable"] = "read-only"
    timeout: Timeout = 120


@dataclass(frozen=True, config=_STRICT)
class Maintenance:
    """The maintenance page, its words or its file; `retry_after` is in seconds.

    `site` is the Nginx site that shows it, by its name in files. What gets the app all the same: `paths`, besides the
    health checks', and `addresses`.
    """

    site: Name = "nginx"
    text: Text = "系统维护中，请稍后再访问。\nDown for maintenance, please try again in a few minutes."
    file: Text = ""
    retry_after: Timeout = 300
    paths: tuple[UrlPath, ...] = ()
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class Undo:
    """What the undo of an update does about a database that it had migrated."""

    database: Literal["keep", "restore"] = "keep"


@dataclass(frozen=True, config=_STRICT)
class Probe:
    """What --probe asks during an update, one URL or several, and how often each; none: the first health check."""

    url: ProbeUrls = ""
    per_second: Annotated[Positive, Unit("requests per second")] = 10


@dataclass(frozen=True, config=_STRICT)
class Confirm:
    """How long the host waits for the confirmation of an update, in seconds, and what it does without one.

    For `watch` seconds a proven release is looked at before it is confirmed: its health, and that no more than `errors`
    per cent of the answers in the `access_log`, in the app's container, are 5xx.
    """

    timeout: Timeout = 120
    unattended: Literal["keep", "undo"] = "keep"
    watch: Seconds = 0
    errors: Annotated[Natural, Unit("per cent")] = 5
    access_log: Folder = "/var/log/nginx/whalefall_access.log"


@dataclass(frozen=True, config=_STRICT)
class Drain:
    """Commands on the host `before` its new code comes and `after` it serves, as for a load balancer; in seconds."""

    before: Text = ""
    after: Text = ""
    timeout: Timeout = 60


@dataclass(frozen=True, config=_STRICT)
class Hooks:
    """Commands `before` a run, which may refuse it, and `after` it is done or has `failed`; on the laptop or the host.

    `timeout` is in seconds.
    """

    before: Text = ""
    after: Text = ""
    failed: Text = ""
    where: Literal["laptop", "host"] = "laptop"
    timeout: Timeout = 60


Told = Literal["started", "done", "refused", "locked", "undone", "undone-ill", "interrupted", "failed", "kept"]


@dataclass(frozen=True, config=_STRICT)
class Notice:
    """Whom to tell of which events: the laptop's variables that have the webhook's URL, and the key that signs."""

    kind: Literal["feishu", "dingtalk", "wecom", "slack", "json"]
    url: Variable
    secret: OptionalVariable = ""
    events: tuple[Told, ...] = ()


@dataclass(frozen=True, config=_STRICT)
class Bake:
    """Whether each confirmed release is made an image, and how many of these are kept."""

    after_update: bool = False
    keep: Positive = 3


@dataclass(frozen=True, config=_STRICT)
class History:
    """How many runs the host keeps the journals of, and how much room they may take."""

    runs: Positive = 50
    max_mib: Annotated[Positive, Unit("MiB")] = 100


@dataclass(frozen=True, config=_STRICT)
class Backup:
    """When the database is dumped, into which folder on the host, and how many dumps are kept."""

    before_migration: bool = True
    client: Text = ""
    dir: Folder = ""
    keep: Positive = 5


@dataclass(frozen=True, config=_STRICT)
class Migrate:
    """Where the migrations lie, how long one may take in seconds, and what to stamp an unstamped database with."""

    directory: RelativePath = "migrations"
    timeout: Timeout = 600
    lock_timeout: Seconds = 3
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
class ProgramRestart:
    """How a program is restarted that Supervisor did not start: by a command in the container, or a signal to it."""

    command: Text = ""
    signal: Text = ""

    def __post_init__(self) -> None:
        if self.signal and f"SIG{self.signal}" not in signal.Signals.__members__:
            raise ValueError(say("has an unknown signal, %s: name it as kill -l does, without SIG", self.signal))
        if bool(self.command) == bool(self.signal):
            raise ValueError(say("must have either command or signal"))


@dataclass(frozen=True, config=_STRICT)
class Restart:
    """How new processes come to serve, times in seconds; `reload` is run after a restart of the container."""

    strategy: Literal["rolling", "container"] = "rolling"
    timeout: Timeout = 120
    drain_timeout: Timeout = 40
    pause: Seconds = 2
    exclusive_files: tuple[RelativePath, ...] = ("userdata/scheduler.lock",)
    single: tuple[Name, ...] = ("whalefall_scheduler",)
    surge: Natural = 0
    programs: Mapping[Name, ProgramRestart] = field(default_factory=dict)
    check: Name = "direct"
    reload: tuple[Name, ...] = ("nginx -t", "nginx -s reload")


@dataclass(frozen=True, config=_STRICT)
class Also:
    """Another service that runs the code, with what differs from the app's; empty: as there, and named as its key."""

    service: Text = ""
    container: Text = ""
    path: Folder = ""
    user: Text = ""
    programs: Mapping[Name, ProgramRestart] = field(default_factory=dict)
    restart: Literal["", "rolling", "container"] = ""


@dataclass(frozen=True, config=_STRICT)
class Check:
    """One question to the app: of `paths` the first that does not answer 404 counts, by the values in `expect`.

    `host` is the Host header's; empty: the URL's. `inside`: it is asked from the app's container.
    """

    name: Name
    url: Url
    paths: Annotated[tuple[UrlPath, ...], AfterValidator(_some)]
    expect: Mapping[Name, str | bool | int] = field(default_factory=dict)
    host: HostHeader = ""
    inside: bool = False


@dataclass(frozen=True, config=_STRICT)
class Health:
    """The checks; times in seconds."""

    timeout: Timeout = 60
    request_timeout: Timeout = 10
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
    # Written as `none` where there is no such file.
    env: Annotated[Env | None, BeforeValidator(_unless_none)] = field(default_factory=Env)
    secrets: Secrets = field(default_factory=Secrets)
    app: App = field(default_factory=App)
    also: Mapping[Word, Also] = field(default_factory=dict)
    database: Database = field(default_factory=Database)
    # Written as `none` where there is none.
    redis: Annotated[Redis | None, BeforeValidator(_unless_none)] = field(default_factory=Redis)
    preflight: Preflight = field(default_factory=Preflight)
    copy: Copy = field(default_factory=Copy)
    files: Mapping[Name, File] = field(default_factory=lambda: dict(FILES))
    built: Mapping[Word, Built] = field(default_factory=lambda: {"frontend": Built("frontend/dist", ("frontend/**",))})
    clean: Clean = field(default_factory=Clean)
    proof: Proof = field(default_factory=Proof)
    backup: Backup = field(default_factory=Backup)
    migrate: Migrate = field(default_factory=Migrate)
    restart: Restart = field(default_factory=Restart)
    health: Health = field(default_factory=Health)
    probe: Probe = field(default_factory=Probe)
    confirm: Confirm = field(default_factory=Confirm)
    drain: Drain = field(default_factory=Drain)
    maintenance: Maintenance = field(default_factory=Maintenance)
    undo: Undo = field(default_factory=Undo)
    hooks: Hooks = field(default_factory=Hooks)
    notify: tuple[Notice, ...] = ()
    bake: Bake = field(default_factory=Bake)
    history: History = field(default_factory=History)


@dataclass(frozen=True, config=_STRICT, kw_only=True)
class Settings(Sections):
    """All settings of one target, its own over the general ones."""

    target: Target

    def __post_init__(self) -> None:
        if self.git.proxy and not self.env:
            raise ValueError(say("has git.proxy: %s, and no env file that names proxies", self.git.proxy))

    @property
    def dumpable(self) -> bool:
        """Is there a program that can dump the database, as far as the settings know?"""
        database = self.database
        return (
            database.kind == "sqlite" or database.in_service or (database.kind != "none" and bool(self.backup.client))
        )

    @property
    def proof_writes(self) -> bool:
        """May new code write to the database while it is proven? Only what libpq opens can be kept from it."""
        return self.proof.database == "writable" or self.database.kind in ("mysql", "sqlite")


SECTIONS = tuple(section.name for section in fields(Sections))
