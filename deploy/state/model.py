"""What is known of a host: frozen values, from which every decision is made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deploy.message import NOTHING, Message, Printed, Told, say, unpack

# The remote branch's head, fetched first; the clone's `head`; nothing, only what is `running`, or of that what a proof
# judges, `serving`; else commit:NAME.
TargetIs = str

_NOT_READ, _NOT_ASKED = say("not read"), say("not asked")


@dataclass(frozen=True)
class Container:
    """A service's container as the engine describes it, and its Compose project as its labels do.

    `files` are none where the labels name none, or one that is gone. `mounts` are the sources on the host, or names of
    volumes, by the places in the container.
    """

    name: str
    id: str
    image: str
    status: str
    restarts: int
    started: str
    service: str
    project: str
    folder: str
    environment: str
    files: tuple[str, ...]
    mounts: Mapping[str, str]
    # Seconds that it gets to stop; None: the engine's own.
    grace: int | None = None
    # As its own check tells the engine, where it has one; its memory in MiB beside the file cache, None: unknown.
    health: str = ""
    memory_mib: int | None = None

    @property
    def running(self) -> bool:
        return self.status == "running"


@dataclass(frozen=True)
class Named:
    """The image's name that a container was made from, and what bears it now, for one that is made anew.

    `image` is its id, `baked` the release that was baked into it; nothing: there is none.
    """

    name: str
    image: str = ""
    baked: str = ""


@dataclass(frozen=True)
class Tagged:
    """An image by a name of it: its id, when it was made, and the release in it; nothing: unknown."""

    name: str
    image: str
    created: str
    revision: str = ""
    subject: Told = NOTHING


@dataclass(frozen=True)
class Memory:
    """The kernel's account of the app container: memory in MiB, and how many processes it killed for want of it."""

    limit: int | None
    used: int
    kills: int

    @property
    def room(self) -> int | None:
        """What is left; None: there is no limit."""
        return None if self.limit is None else max(0, self.limit - self.used)


@dataclass(frozen=True)
class Sibling:
    """Another container of the app's service, of whatever project."""

    name: str
    status: str
    project: str
    folder: str

    @property
    def up(self) -> bool:
        return self.status not in ("created", "exited", "dead", "removing")


@dataclass(frozen=True)
class Record:
    """What the container says runs in it; written by the last copy.

    `overridden` are files that runs were allowed to change though the image has them, each with the image's blob.
    """

    revision: str
    complete: bool
    run: str
    overridden: Mapping[str, str]


@dataclass(frozen=True)
class Revision:
    """A migration: its id, the ids it follows, its message, the ids that it needs besides, and its file's path."""

    id: str
    down: tuple[str, ...]
    message: Told
    depends: tuple[str, ...] = ()
    file: str = ""

    @property
    def title(self) -> Told:
        """Name it by its id and its message."""
        return say("%s %s", self.id, self.message) if self.message else Printed(self.id)


@dataclass(frozen=True)
class Chain:
    """The migrations of a tree, base first; `error` where they make no chain."""

    heads: tuple[str, ...] = ()
    revisions: tuple[Revision, ...] = ()
    error: Told = NOTHING

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
            waiting.extend(known[revision].down + known[revision].depends)
        return tuple(revision for revision in self.revisions if revision.id not in applied)

    def knows(self, revisions: Iterable[str]) -> bool:
        return set(revisions) <= {revision.id for revision in self.revisions}


@dataclass(frozen=True)
class Probed:
    """What the requests met that were sent while an update ran; a gap is a time without a good answer."""

    requests: int
    failed: int
    longest_gap_s: float
    slowest_request_s: float
    # For a lock in the database, whoever waited; unknown where the database could not be asked.
    longest_lock_wait_s: float | None = None

    @property
    def fields(self) -> str:
        """Say it as the history does."""
        waited = "" if self.longest_lock_wait_s is None else f" {self.longest_lock_wait_s}"
        return f"{self.requests} {self.failed} {self.longest_gap_s} {self.slowest_request_s}{waited}"

    @property
    def told(self) -> Message:
        if not self.requests:
            return say("nothing could be asked")
        told = say(
            "%s of %s requests failed, longest gap %s s, slowest request %s s",
            self.failed,
            self.requests,
            f"{self.longest_gap_s:.2f}",
            f"{self.slowest_request_s:.2f}",
        )
        waited = self.longest_lock_wait_s
        return told if waited is None else say("%s, longest wait for a lock %s s", told, f"{waited:.2f}")


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
    # What --probe met, where it was asked for.
    probe: Probed | None = None

    @property
    def failed(self) -> tuple[str, str, Told]:
        """Tell of `why`: the step that failed or was decided on, its status, and the reason or who decided."""
        step, status, reason = (*self.why.split(" ", 2), "", "", "")[:3]
        return step, status, unpack(reason)

    @property
    def released(self) -> bool:
        """Did it bring a release that was proven and confirmed?"""
        return self.outcome == "done" and self.verb in ("hot-update", "rollback") and bool(self.revision)


@dataclass(frozen=True)
class Worker:
    """A process of a program: for how many seconds it runs, and its memory, of what it shares its part."""

    pid: int
    age: int
    mib: int


@dataclass(frozen=True)
class Program:
    """A program in the container that runs the code: a `server`, that is a master with its workers, or another.

    `name` is Supervisor's where it is `supervised`, else its command line; `problem` says why a server's settings are
    unknown, and `reconfigure` that its `config` file has changed since it read that.
    """

    id: str
    name: str
    supervised: bool
    server: bool
    # Is all that serves of it younger than the last copy?
    fresh: bool
    # It and those below it.
    processes: int = 1
    workers: int = 0
    preload: bool = False
    config: str = ""
    reconfigure: bool = False
    # Its master replaces its workers by itself, one after the other.
    chain: bool = False
    problem: Told = NOTHING
    # Those that work.
    each: tuple[Worker, ...] = ()


@dataclass(frozen=True)
class Installed:
    """A tracked file at its place elsewhere in the container: whether it differs from the target's, or was `edited`.

    `current`: it is that of the release that runs. Of a Supervisor's settings, the programs that would come, change
    and go.
    """

    place: str
    differs: bool
    edited: bool
    came: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    current: bool = False


@dataclass(frozen=True)
class Page:
    """The Nginx site by which the maintenance page is shown, the template that it is made from, and whether it is."""

    place: str
    # Nothing: it is made from none.
    template: str
    on: bool


@dataclass(frozen=True)
class Maintained:
    """A container that was given the maintenance page, by its name and its id: by which run, and when.

    `since` is in seconds since the epoch, by the host's clock.
    """

    container: str
    id: str
    run: str
    since: int


@dataclass(frozen=True)
class Sources:
    """What a folder is built from, by the digests of the target's and of those that run; nothing: unknown.

    `stored`: the host has what is built from the target's. `folder` is how the clone's own is: not asked for, not
    there, built from the target's (`same` by its digest, `younger` by its age), from `other` ones, or `older`.
    """

    target: str = ""
    running: str = ""
    stored: bool = False
    folder: str = ""


@dataclass(frozen=True)
class App:
    """The app container from inside.

    `differs` are the target's files that it has with other bytes, with the blob that it has instead, or lacks.
    `files` are those that have their place elsewhere, by their names in the settings.
    """

    owner: str
    free_mib: int | None
    record: Record | None
    drift: tuple[str, ...]
    differs: Mapping[str, str | None]
    files: Mapping[str, Installed]
    # Of the built folders that are there, by their names: the digest of what they were made from. Nothing: unknown;
    # ?: other sources than those that lie there.
    built: Mapping[str, str]
    programs: tuple[Program, ...]
    # What the largest worker has of its own, in MiB; 0: there is none. And what the machine has left.
    worker_mib: int
    memory_mib: int | None
    chain: Chain | None
    target_chain: Chain | None
    # Capabilities that root has not got there.
    lacks: tuple[str, ...]
    # Folders that an update writes into and cannot.
    readonly: tuple[str, ...]
    # What is mounted into its folder, with the files there that a copy would have to touch; others are left out.
    mounted: Mapping[str, tuple[str, ...]]
    problems: tuple[Told, ...]
    # Commands of Flask-Migrate that run in there, whoever started them.
    migrating: tuple[Told, ...]
    # The Nginx site by which the maintenance page is shown; none: there is none.
    page: Page | None = None


# What Alembic makes its version table for, unless it is told otherwise.
LONGEST_REVISION = 32


@dataclass(frozen=True)
class Versions:
    """A table that looks like Alembic's for versions, as schema.table; `longest`: its column's length, 0 for any."""

    table: str
    revisions: tuple[str, ...] = ()
    longest: int = LONGEST_REVISION
    # Where Alembic keeps it unless it is told otherwise.
    usual: bool = True


@dataclass(frozen=True)
class Database:
    """What it answered; `problem` tells why where it could not be asked."""

    problem: Told = _NOT_ASKED
    # The app has none, as the settings say.
    none: bool = False
    tables: int = 0
    revisions: tuple[str, ...] = ()
    # The table that the revisions are from; nothing where there is none.
    version_table: str = ""
    # How long a revision may be; 0: of any length.
    longest_revision: int = LONGEST_REVISION
    # Every table that looks like one for versions.
    versions: tuple[Versions, ...] = ()
    # What shows that there was a revision before, where there is none.
    traces: tuple[Message, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    # In bytes.
    size: int = 0
    # What tells its server, and it there, from every other one; whoever asks it gets the same answer.
    server: str = ""
    # Those whose making was cut off, which nothing uses, each with its table.
    invalid_indexes: tuple[tuple[str, str], ...] = ()
    # Where its dump program was looked for, and which it is; nothing: none is there. None: it was not looked for.
    client: tuple[str, str] | None = None
    # Sessions that are idle in a transaction: each by its process, and what tells of it.
    idle: tuple[tuple[str, Message], ...] = ()


@dataclass(frozen=True)
class Repository:
    """The deployment clone. `problem` where it is not one; `target` is the branch's head, if `fetched`."""

    problem: Told = _NOT_READ
    # It is one, of somebody else.
    foreign: bool = False
    owner: str = ""
    remotes: tuple[tuple[str, str], ...] = ()
    branches: tuple[str, ...] = ()
    fetched: bool = False
    fetch_problem: Told = NOTHING
    # What to do about that, where it is known.
    fetch_remedy: Told | None = None
    # The problem is that the remote has no such branch.
    lacks_branch: bool = False
    head: str = ""
    branch: str = ""
    target: str = ""
    index_lock: str = ""
    incoming: tuple[Message, ...] = ()
    unpushed: tuple[Message, ...] = ()
    uncommitted: tuple[str, ...] = ()
    endangered: tuple[str, ...] = ()
    tracks_protected: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    # Called text, and stored with CRLF all the same.
    line_endings: tuple[str, ...] = ()
    # Of the target: the path, the commit that the clone lacks, and the command that gets it, if one is known.
    submodules: tuple[tuple[str, str, str], ...] = ()
    # The commit that the remote's branch was at, what it is at since it was rewritten, and how many are gone from it.
    rewritten: tuple[str, str, int] | None = None
    # What the target's name may mean, where that is more than one commit.
    ambiguous: tuple[Told, ...] = ()


@dataclass(frozen=True)
class Commit:
    """A commit, its age in seconds by the host's clock, and its subject."""

    id: str
    age: int
    subject: Told


@dataclass(frozen=True)
class Preview:
    """What is read for a dry run alone: what a release changes against what runs.

    `coming` and `going` are the commits that the one has and the other lacks; `lines` how many of them come and go in
    each file that is a text; `sources` what pending migrations say, by their ids.
    """

    coming: tuple[Commit, ...] = ()
    going: tuple[Commit, ...] = ()
    lines: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)


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
    # The host's clock, as the id of the next run begins with it.
    clock: str
    tools: Mapping[str, str]
    engine: str
    engine_problem: Told
    compose: str
    compose_file: bool
    free_mib: int | None
    env: str
    env_empty: tuple[str, ...]
    repository: Repository
    containers: Mapping[str, Container]
    siblings: tuple[Sibling, ...]
    app: App | None
    app_problem: Told
    # The running revision where the clone knows it, and what the target changes since then (status, path).
    running: str
    changes: tuple[tuple[str, str], ...]
    # Files that are baked into the image: all of the target's with their blobs, and those changed since `running` or
    # HEAD, with the blobs of then.
    image_files: Mapping[str, str]
    image_changes: Mapping[str, str]
    image_changes_since_head: Mapping[str, str]
    database: Database
    probes: Mapping[str, tuple[Probe, ...]]
    logs: tuple[tuple[str, str], ...]
    # The run that holds the lock, or that died with it.
    holder: Mapping[str, str]
    lock_held: bool
    # The runs that have ended, the oldest first.
    history: tuple[PastRun, ...]
    # Of the app's image: its revision, as its label says or, without a record, the files in the container; its age.
    image_revision: str
    image_created: str
    # Free where dumps of the database go.
    backup_free_mib: int | None
    # What the harness compares under the lock, byte for byte.
    guard: str
    # What is ours, on the host or in the container, and could not be understood: passed over.
    damaged: tuple[Message, ...]
    # What the built folders are made from, by their names.
    sources: Mapping[str, Sources] = field(default_factory=dict)
    # The remote's branch does not have the running revision.
    running_gone: bool = False
    # Is the app container the one that the health checks ask, or another of the app's service, which answers them by
    # itself? Does an app server belong into it? Is it one of several of its service that are updated?
    first: bool = True
    replica: bool = False
    serves: bool = True
    crowded: bool = False
    # Where in the app container the host's clone is mounted.
    clone_at: tuple[str, ...] = ()
    # What else runs the code, in the order in which it is updated.
    others: "tuple[Other, ...]" = ()
    # Containers of the app's image that no setting names, each with its service.
    unlisted: Mapping[str, str] = field(default_factory=dict)
    # By the container that runs the code.
    named: Mapping[str, Named] = field(default_factory=dict)
    # Those that bear these names, and those that did before a bake.
    tagged: tuple[Tagged, ...] = ()
    # Those that were given the maintenance page.
    maintained: tuple[Maintained, ...] = ()
    # What could not be read: the checks that cannot be made, each with the reason.
    unread: Mapping[str, Told] = field(default_factory=dict)
    # The commits that run, that the clone is at and that is next, as far as the clone has them.
    releases: "tuple[Commit, ...]" = ()
    # The dumps of this database, the oldest first: the run that made each, and the revision.
    dumps: tuple[tuple[str, str], ...] = ()
    # None: it cannot be read.
    memory: Memory | None = None
    # None: nobody asked for it.
    preview: Preview | None = None

    @property
    def replicas(self) -> tuple[Sibling, ...]:
        """The other containers of the app's service in its project, stopped ones too."""
        app = self.containers.get("app")
        return tuple(one for one in self.siblings if app and one.project == app.project)

    @property
    def alone(self) -> bool:
        """Is the app container the only one of its service?"""
        return not (self.replicas or self.crowded)

    @property
    def replicas_left(self) -> tuple[str, ...]:
        """Those of them that may serve, and that an update would leave as they are."""
        known = {one.name for one in self.others}
        return tuple(one.name for one in self.replicas if one.up and one.name not in known)

    @property
    def answering(self) -> bool:
        """Does every health check answer with success?"""
        return bool(self.probes) and all(200 <= probes[-1].status < 300 for probes in self.probes.values())

    @property
    def kills(self) -> str:
        """How many processes of the app's container the kernel has killed, as scripts are told it; nothing: unknown."""
        return str(self.memory.kills) if self.memory else ""

    @property
    def chain(self) -> Chain | None:
        """The target's migrations, or those in the container where there is no target; none without a database."""
        return (self.app.target_chain or self.app.chain) if self.app and not self.database.none else None

    @property
    def fresh(self) -> bool:
        """Is what serves younger than the last copy, and all else that something restarts?"""
        restarted = (one for one in self.programs if one.server or one.supervised or not self.serves)
        return (self.served or not self.serves) and all(one.fresh for one in restarted)

    @property
    def served(self) -> bool:
        """Does an app server run?"""
        return any(one.server for one in self.programs)

    @property
    def programs(self) -> tuple[Program, ...]:
        return self.app.programs if self.app else ()


@dataclass(frozen=True)
class Other:
    """One more container that runs the code: a replica of the app's, or of a service that `also` names so.

    `state` is the host's as if it were the app container.
    """

    name: str
    also: str
    state: State
