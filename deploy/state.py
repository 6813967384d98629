"""The host's whole state: the script that reads it in one round trip, and what it answers as frozen values."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy import inside, shell
from deploy.errors import Failure
from deploy.settings import Settings
from deploy.shell import Variable

# The remote branch's head, fetched first; the clone's `head`; nothing, only what is `running`; else a commit's name.
TargetIs = str


@dataclass(frozen=True)
class Container:
    """A service's container as the engine describes it."""

    id: str
    status: str
    restarts: int
    started: str
    service: str
    folder: str
    image: str

    @property
    def running(self) -> bool:
        return self.status == "running"


@dataclass(frozen=True)
class Record:
    """What the container says runs in it; written by the last copy."""

    revision: str
    complete: bool
    run: str
    boot_id: str
    uptime: float
    overridden: tuple[str, ...]


@dataclass(frozen=True)
class Process:
    """A process of the app server; `started` in seconds since boot."""

    pid: int
    ppid: int
    started: float


@dataclass(frozen=True)
class Revision:
    """A migration: its id, the ids it follows, its message."""

    id: str
    down: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Chain:
    """The migrations of a tree, base first; `error` where Alembic cannot read them."""

    heads: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()
    error: str = ""

    def pending(self, current: Iterable[str]) -> tuple[Revision, ...]:
        """Revisions that an upgrade from `current` would run, in order."""
        known = {revision.id: revision for revision in self.revisions}
        applied: set[str] = set()
        waiting = list(current)
        while waiting:
            revision = waiting.pop()
            if revision in applied or revision not in known:
                continue
            applied.add(revision)
            waiting.extend(known[revision].down)
        return tuple(revision for revision in self.revisions if revision.id not in applied)

    def knows(self, revisions: Iterable[str]) -> bool:
        return set(revisions) <= {revision.id for revision in self.revisions}


@dataclass(frozen=True)
class PastRun:
    """A run that has ended, as the history on the host tells it.

    `ended` and `began` are in seconds since the epoch, by the host's clock; `steps` are name, exit status and seconds;
    `was` and `revision` are what ran before and what was to run.
    """

    ended: int
    id: str
    verb: str
    operator: str
    was: str
    revision: str
    began: int
    outcome: str
    why: str
    steps: tuple[tuple[str, int, float], ...]

    @property
    def released(self) -> bool:
        """Did it bring a release that was proven and confirmed?"""
        return self.outcome == "done" and self.verb in ("hot-update", "rollback") and bool(self.revision)


@dataclass(frozen=True)
class App:
    """The app container from inside. `differs` are the target's files that it lacks or has with other bytes.

    `installed` are those that the image keeps elsewhere too, and whether that copy differs.
    """

    owner: str
    free_mib: int | None
    record: Record | None
    drift: tuple[str, ...]
    differs: frozenset[str]
    absent: frozenset[str]
    installed: Mapping[str, bool]
    processes: tuple[Process, ...]
    boot_id: str
    chain: Chain | None
    target_chain: Chain | None
    problems: tuple[str, ...]
    # Commands of Flask-Migrate that run in there, whoever started them.
    migrating: tuple[str, ...]


@dataclass(frozen=True)
class Database:
    """What PostgreSQL answered; `problem` is its error line where it could not be asked."""

    problem: str = "not asked"
    tables: int = 0
    revisions: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Repository:
    """The deployment clone. `problem` where it is not one; `target` is the head of the deployed branch."""

    problem: str = "not read"
    owner: str = ""
    remotes: tuple[tuple[str, str], ...] = ()
    branches: tuple[str, ...] = ()
    fetch_problem: str = ""
    head: str = ""
    branch: str = ""
    target: str = ""
    index_lock: str = ""
    incoming: tuple[str, ...] = ()
    unpushed: tuple[str, ...] = ()
    uncommitted: tuple[str, ...] = ()
    endangered: tuple[str, ...] = ()
    tracks_protected: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probe:
    """The status of the first path of a check that does not answer 404; 0 is no answer."""

    url: str
    status: int


@dataclass(frozen=True)
class State:
    """Everything a decision may depend on."""

    user: str
    boot_id: str
    tools: Mapping[str, str]
    engine: str
    engine_problem: str
    compose: str
    compose_file: bool
    free_mib: int | None
    env: str
    env_empty: tuple[str, ...]
    repository: Repository
    containers: Mapping[str, Container]
    app: App | None
    app_problem: str
    # The running revision where the clone knows it, and what the target changes since then (status, path).
    running: str
    changes: tuple[tuple[str, str], ...]
    # Files that are baked into the image: all of the target's, and those changed since `running` or HEAD.
    image_files: tuple[str, ...]
    image_changes: tuple[str, ...]
    image_changes_since_head: tuple[str, ...]
    database: Database
    probes: Mapping[str, tuple[Probe, ...]]
    logs: tuple[tuple[str, str], ...]
    # The run that holds the lock, or that died with it.
    holder: Mapping[str, str]
    lock_held: bool
    # The runs that have ended, the oldest first.
    history: tuple[PastRun, ...]
    # What the app's image says of itself: its revision, if it has a label, and when it was made.
    image_revision: str
    image_created: str
    # What the harness compares under the lock, byte for byte.
    guard: str

    @property
    def answering(self) -> bool:
        """Does every health check answer with success?"""
        return bool(self.probes) and all(200 <= probes[-1].status < 300 for probes in self.probes.values())

    @property
    def chain(self) -> Chain | None:
        """The target's migrations; those that lie in the container where there is no target."""
        return (self.app.target_chain or self.app.chain) if self.app else None

    @property
    def fresh(self) -> bool:
        """Is every process of the app server younger than the last copy?"""
        if self.app is None or self.app.record is None or not self.app.processes:
            return False
        if self.app.boot_id != self.app.record.boot_id:
            return True
        return all(process.started > self.app.record.uptime for process in self.app.processes)


def read_script(settings: Settings, *, target: TargetIs, logs: bool = True) -> str:
    """Build the script that reads the state."""
    sources = ("redact.sh", "containers.sh", "worktree.sh", "guard.sh", "read.sh")
    return shell.script(*sources, **variables(settings), target_is=target, want_logs=logs)


def variables(settings: Settings) -> dict[str, Variable]:
    """Name the settings as the scripts on the host know them."""
    app, postgres = settings.app, settings.postgres
    return {
        "path": settings.target.path,
        "remote": settings.git.remote,
        "branch": settings.git.branch,
        "fetch_timeout": settings.git.fetch_timeout,
        "compose_file": settings.compose.file,
        "env_file": f"{settings.target.path}/{settings.env.file}",
        "required": tuple(settings.env.required),
        "secret_words": tuple(settings.secrets.words),
        "secret_min_length": settings.secrets.min_length,
        "container": app.container,
        "service": app.service,
        "app_path": app.path,
        "app_user": app.user,
        "python": app.python,
        "flask": app.flask,
        "record_folder": app.record,
        "logs": tuple(app.logs),
        "postgres_container": postgres.container,
        "database": postgres.database,
        "database_user": postgres.user,
        "redis_container": settings.redis.container,
        "migrations": settings.migrate.directory,
        "stamp_columns": "{" + ",".join(sorted(stamp_columns(settings))) + "}",
        "protected": tuple(settings.copy.protected),
        "copied": (".", *(f":(exclude,glob){pattern}" for pattern in settings.copy.exclude)),
        "unsuitable": image_pathspecs(settings),
        "probes": tuple(
            word for check in settings.health.checks for path in check.paths for word in (check.name, check.url + path)
        ),
        "probe_timeout": settings.health.request_timeout,
        "inside_settings": json.dumps(inside_settings(settings)),
        "inside_program": inside.program(),
        "inside_loader": inside.LOADER,
    }


def stamp_columns(settings: Settings) -> set[str]:
    return {column for rule in settings.migrate.stamp for column in rule.columns}


def image_pathspecs(settings: Settings) -> tuple[str, ...]:
    """Turn the patterns of preflight.unsuitable into git's pathspecs; `!` makes an exception."""
    patterns = settings.preflight.unsuitable
    wanted = [f":(glob){pattern}" for pattern in patterns if not pattern.startswith("!")]
    exceptions = [f":(exclude,glob){pattern[1:]}" for pattern in patterns if pattern.startswith("!")]
    return (*wanted, *exceptions) if wanted else (":(exclude,glob)**",)


def inside_settings(settings: Settings) -> dict[str, Any]:
    """What the program inside the container is told of the settings."""
    return {
        "app": settings.app.path,
        "record": settings.app.record,
        "user": settings.app.user,
        "server": settings.app.server,
        "flask": settings.app.flask,
        "protected": list(settings.copy.protected),
        "exclude": list(settings.copy.exclude),
        "derived": dict(settings.copy.derived),
        "installed": dict(settings.preflight.installed),
        "migrations": settings.migrate.directory,
        "caches": list(settings.clean.caches),
        "min_free_mib": settings.preflight.min_free_mib,
    }


def parse(answer: str) -> State:
    """Read what the script answered. An answer without its end is a failure, not a state."""
    rows: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for kind, *fields in shell.records(answer):
        rows[kind].append(tuple(fields))
    if not rows["end"]:
        last = answer.strip().splitlines()[-1:]
        raise Failure("the host did not tell its whole state", evidence=tuple(last), remedy="run the verb again")

    def one(kind: str, index: int = 0) -> str:
        return rows[kind][0][index] if rows[kind] else ""

    def column(kind: str, index: int = 0) -> tuple[str, ...]:
        return tuple(row[index] for row in rows[kind])

    return State(
        user=one("host"),
        boot_id=one("host", 2),
        tools=dict(_pairs(rows["tool"])),
        engine=one("engine"),
        engine_problem=one("engine", 1),
        compose=one("compose"),
        compose_file=bool(rows["compose_file"]),
        free_mib=int(one("disk")) if rows["disk"] else None,
        env=one("env"),
        env_empty=column("env_empty"),
        repository=_repository(rows),
        containers={row[0]: _container(row) for row in rows["container"]},
        app=_app(json.loads(one("app"))) if rows["app"] else None,
        app_problem=one("app_problem"),
        running=one("running_known"),
        changes=tuple(_pairs(rows["differs_change"])),
        image_files=column("image_file"),
        image_changes=column("differs_running", 1),
        image_changes_since_head=column("differs_head", 1),
        database=_database(rows),
        probes=_probes(rows["probe"]),
        logs=tuple(_pairs(rows["log"])),
        holder=dict(_pairs(rows["holder"])),
        lock_held=bool(rows["lock_held"]),
        history=tuple(past_run(row) for row in rows["history"]),
        image_revision=one("image"),
        image_created=one("image", 1),
        guard="".join(
            "\t".join(line.split("\t")[1:]) + "\n" for line in answer.splitlines() if line.startswith("guard\t")
        ),
    )


def past_run(row: tuple[str, ...]) -> PastRun:
    """Read a record of the history."""
    ended, run, verb, operator, was, revision, began, outcome, why, steps = row
    times = (step.split() for step in steps.split(",") if step)
    told = tuple((name, int(status), float(seconds)) for name, status, seconds in times)
    return PastRun(int(ended), run, verb, operator, was, revision, int(began), outcome, why, told)


def _pairs(rows: Iterable[tuple[str, ...]]) -> Iterable[tuple[str, str]]:
    return ((row[0], row[1]) for row in rows)


def _repository(rows: Mapping[str, list[tuple[str, ...]]]) -> Repository:
    if "repository" not in rows:
        return Repository()
    problem, *rest = rows["repository"][0]
    if problem:
        return Repository(problem=problem)
    head, branch, target = rows["head"][0] if rows["head"] else ("", "", "")
    lists = {
        name: tuple(row[0] for row in rows[name])
        for name in (
            "incoming",
            "unpushed",
            "uncommitted",
            "endangered",
            "tracks_protected",
            "filters",
        )
    }
    return Repository(
        problem="",
        owner=rest[1],
        remotes=tuple(_pairs(rows["remote"])),
        branches=tuple(row[0] for row in rows["known_branch"]),
        fetch_problem=rows["fetched"][0][0] if rows["fetched"] else "",
        head=head,
        branch=branch,
        target=target,
        index_lock=rows["index_lock"][0][0] if rows["index_lock"] else "",
        **lists,
    )


def _container(row: tuple[str, ...]) -> Container:
    _, identity, status, restarts, started, service, folder, image = row
    return Container(identity, status, int(restarts), started, service, folder, image)


def _app(answer: Mapping[str, Any]) -> App:
    differs: Mapping[str, str | None] = answer["differs"] or {}
    return App(
        owner=answer["owner"] or "",
        free_mib=answer["free_mib"],
        record=_record(answer["record"]),
        drift=tuple(answer["drift"] or ()),
        differs=frozenset(differs),
        absent=frozenset(path for path, have in differs.items() if have is None),
        installed=answer["installed"] or {},
        processes=tuple(Process(p["pid"], p["ppid"], p["started"]) for p in answer["processes"] or ()),
        boot_id=answer["boot_id"] or "",
        chain=_chain(answer["chain"]),
        target_chain=_chain(answer["target_chain"]),
        problems=tuple(answer["problems"]),
        migrating=tuple(answer["migrating"] or ()),
    )


def _record(answer: Mapping[str, Any] | None) -> Record | None:
    if answer is None:
        return None
    return Record(
        revision=answer["revision"],
        complete=answer["complete"],
        run=answer["run"],
        boot_id=answer["boot_id"] or "",
        uptime=answer["uptime"] or 0.0,
        overridden=tuple(answer["overridden"] or ()),
    )


def _chain(answer: Mapping[str, Any] | None) -> Chain | None:
    if answer is None:
        return None
    if "error" in answer:
        return Chain(error=answer["error"])
    revisions = tuple(Revision(r["revision"], tuple(r["down"]), r["doc"] or "") for r in answer["revisions"])
    return Chain(heads=tuple(answer["heads"]), revisions=revisions)


def _database(rows: Mapping[str, list[tuple[str, ...]]]) -> Database:
    if "database" not in rows:
        return Database()
    return Database(
        problem=rows["database"][0][0],
        tables=int(rows["db_tables"][0][0]) if "db_tables" in rows else 0,
        revisions=tuple(row[0] for row in rows["db_revision"]) if "db_revision" in rows else (),
        columns=dict(_pairs(rows["db_column"])) if "db_column" in rows else {},
    )


def _probes(rows: Iterable[tuple[str, ...]]) -> dict[str, tuple[Probe, ...]]:
    probes: dict[str, tuple[Probe, ...]] = {}
    for name, url, status in rows:
        answered = probes.get(name, ())
        if not answered or answered[-1].status == 404:
            probes[name] = (*answered, Probe(url, int(status)))
    return probes
