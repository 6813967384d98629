"""Judge the state: every finding, ok, warning or refusal, each with its evidence and what to do."""

from collections.abc import Container, Iterator, Mapping

from deploy import migrations, releases
from deploy.plan import Finding, Level, Options
from deploy.settings import Settings
from deploy.state import App, Chain, State

FIRST_NAMES = 5
MIB = 1024 * 1024

# No blob: the image's of a file that nothing tells of.
UNKNOWN = "unknown"

# Where dumps go unless backup.dir says otherwise.
BACKUPS = ".git/hot-update/backups in the clone"

# Words by which a line in a log tells of an error; a daemon that says which user it runs as is none.
ERRORS = ("Error", "ERROR", "CRITICAL", "Exception")

# What the checks are called; a step names those it cannot do without.
TOOLS = ("tools", "engine", "compose")
REPOSITORY = ("repository", "remote")
WORK = ("work tree", "commits", "protected paths", "filters")
SERVICES = ("app container",)
DATABASE = ("postgres", "database", "migrations")


def judge(settings: Settings, state: State, options: Options) -> tuple[Finding, ...]:
    """Look at everything and report every finding, good ones too."""
    if state.env == "unreadable":
        # Secrets can't be told from the rest then, so the host has withheld everything else.
        return tuple(_env(settings, state, options))
    return tuple(
        finding
        for check in (
            _tools,
            _engine,
            _repository,
            _remote,
            _work_tree,
            _commits,
            _target_tree,
            _env,
            _disk,
            _containers,
            _app,
            _database,
            _migrations,
            _backup,
            _health,
            _suitable,
            _release,
            _lock,
        )
        for finding in check(settings, state, options)
    )


def names(items: tuple[str, ...]) -> str:
    """Name the first few and count the rest."""
    shown = ", ".join(items[:FIRST_NAMES])
    rest = len(items) - FIRST_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown


def plural(number: int, noun: str) -> str:
    """Count something in words: 1 commit, 2 commits."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def last_error(settings: Settings, state: State) -> str:
    """The newest line in the app's logs that tells of an error, else nothing."""
    newest = state.logs[0][0] if state.logs else ""
    started = any(probe.status for probe in state.probes.get(settings.restart.check, ()))
    # The newest log comes first, and in it the oldest line: what an older log ends with may be long over.
    last: dict[str, str] = {}
    for log, line in state.logs:
        if started and f"Starting {settings.app.server}" in line:
            # What an earlier start complained of is over; while none succeeds it is the cause.
            last.pop(log, None)
        elif (log == newest or "error" in log) and any(word in line for word in ERRORS):
            last[log] = line.strip()
    return next(iter(last.values()), "")


def _tools(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    missing = tuple(name for name, where in state.tools.items() if not where)
    if missing:
        yield Finding(
            "refusal", "tools", f"not installed on the host: {', '.join(missing)}", "install them on the host"
        )
    else:
        yield Finding("ok", "tools", ", ".join(state.tools))


def _engine(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if not state.tools.get("docker"):
        return
    if not state.engine:
        remedy = f"start Docker, or let {state.user} use it (group docker, or sudo: true under the target)"
        yield Finding("refusal", "engine", f"Docker does not answer: {state.engine_problem}", remedy)
    else:
        yield Finding("ok", "engine", f"Docker Engine {state.engine}")
    if not state.compose:
        yield Finding(
            "refusal",
            "compose",
            "docker compose is missing (docker-compose v1 is not enough)",
            "install the Compose v2 plugin",
        )
    elif not state.compose_file:
        yield Finding(
            "refusal",
            "compose",
            f"no {settings.compose.file} in {settings.target.path}",
            "set compose.file in invoke.yaml",
        )
    else:
        yield Finding("ok", "compose", f"Compose {state.compose}, {settings.compose.file}")


def _repository(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository = state.repository
    path = settings.target.path
    if repository.problem:
        if "dubious ownership" in repository.problem:
            evidence, remedy = f"{path} belongs to somebody else than {state.user}", "set sudo: true under the target"
        else:
            evidence, remedy = f"{path} is no git clone: {repository.problem}", "set path under the target to the clone"
        yield Finding("refusal", "repository", evidence, remedy)
    elif repository.index_lock:
        remedy = f"if no git runs on the host, remove {repository.index_lock}"
        yield Finding("refusal", "repository", "another git is at work in the clone, or one was killed there", remedy)
    else:
        yield Finding("ok", "repository", f"{path}, on {repository.branch or 'no branch'} at {repository.head[:7]}")


def _remote(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository, git = state.repository, settings.git
    if repository.problem:
        return
    remotes = tuple(name for name, _ in repository.remotes)
    if git.remote not in remotes:
        evidence = f"no remote {git.remote}; there is {', '.join(remotes) or 'none'}"
        yield Finding("refusal", "remote", evidence, "set git.remote in invoke.yaml, or git remote add on the host")
    elif repository.fetch_problem and "find remote ref" in repository.fetch_problem:
        evidence = f"{git.remote} has no branch {git.branch}; known are {', '.join(repository.branches) or 'none'}"
        yield Finding("refusal", "remote", evidence, "set git.branch in invoke.yaml")
    elif repository.fetch_problem:
        yield Finding(
            "refusal",
            "remote",
            f"git fetch {git.remote} failed: {repository.fetch_problem}",
            f"see git -C {settings.target.path} fetch {git.remote} on the host",
        )
    elif not repository.target:
        evidence = f"no {git.remote}/{git.branch}; known are {', '.join(repository.branches) or 'none'}"
        yield Finding("refusal", "remote", evidence, "set git.branch in invoke.yaml")
    else:
        if not repository.fetched:
            yield Finding(
                "ok", "remote", f"going to {repository.target[:7]}, not to the head of {git.remote}/{git.branch}"
            )
            return
        count = len(repository.incoming)
        new = plural(count, "new commit") if count else "nothing new"
        yield Finding("ok", "remote", f"{git.remote}/{git.branch} at {repository.target[:7]}, {new}")


def _work_tree(_: Settings, state: State, options: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.problem:
        return
    if not (lost := repository.uncommitted + tuple(f"?? {name}" for name in repository.endangered)):
        yield Finding("ok", "work tree", "no uncommitted changes")
        return
    evidence = f"{plural(len(lost), 'uncommitted change')}: {names(lost)}"
    yield _discardable("work tree", evidence, "commit and push", options)


def _commits(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.problem:
        return
    where = f"on {repository.branch}" if repository.branch else "on a detached HEAD"
    if repository.unpushed:
        lacking = names(repository.unpushed)
        count = plural(len(repository.unpushed), "commit")
        evidence = f"{count} {where} that {settings.git.remote} does not have: {lacking}"
        yield _discardable("commits", evidence, "push", options)
    elif repository.branch != settings.git.branch:
        yield Finding("warning", "commits", f"the clone is {where}", f"sync moves it to {settings.git.branch}")
    else:
        yield Finding("ok", "commits", f"{settings.git.remote} has them all")


def _discardable(check: str, evidence: str, keep: str, options: Options) -> Finding:
    if options.discard:
        return Finding("warning", check, evidence, "--discard: saved under a ref first")
    return Finding("refusal", check, evidence, f"{keep} it, or give --discard: it is then saved under a ref first")


def _target_tree(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.tracks_protected:
        evidence = (
            f"{repository.target[:7]} tracks what must never be overwritten: {names(repository.tracks_protected)}"
        )
        yield Finding("refusal", "protected paths", evidence, "git rm --cached it, or change copy.protected")
    if repository.filters:
        evidence = f"{names(repository.filters)} names git filters (Git LFS?): their files are not what git stores"
        yield Finding("refusal", "filters", evidence, "use the standard deployment")


def _env(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    place = f"{settings.target.path}/{settings.env.file}"
    match state.env:
        case "missing" | "":
            yield Finding("refusal", "env", f"{place} is missing", "put the production secrets back there")
        case "unreadable":
            yield Finding("refusal", "env", f"{state.user} cannot read {place}", "set sudo: true under the target")
        case _ if state.env_empty:
            evidence = f"{place} has no value for {', '.join(state.env_empty)}"
            yield Finding("refusal", "env", evidence, "set it there (or change env.required)")
        case _:
            yield Finding("ok", "env", f"{place}: every required key has a value")


def _disk(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    floor = settings.preflight.min_free_mib
    places = (
        (f"{settings.target.path} on the host", state.free_mib),
        (f"{settings.app.path} in the container", state.app.free_mib if state.app else None),
    )
    for place, free in places:
        if free is None:
            continue
        if free < floor:
            yield Finding(
                "refusal",
                "disk",
                f"{free} MiB free for {place}, {floor} needed",
                "free some space (or change preflight.min_free_mib)",
            )
        else:
            yield Finding("ok", "disk", f"{free} MiB free for {place}")


def _containers(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if not state.engine:
        return
    wanted = (("app", settings.app), ("postgres", settings.postgres), ("redis", settings.redis))
    for role, service in wanted:
        check = f"{role} container" if role == "app" else role
        found = state.containers.get(role)
        up = f"docker compose -f {settings.compose.file} up -d {service.service}"
        if found is None:
            yield Finding(
                "refusal", check, f"no container {service.container}", f"{up} on the host, or set {role}.container"
            )
        elif found.service != service.service:
            evidence = (
                f"{service.container} is not of the compose service {service.service} but of {found.service or 'none'}"
            )
            yield Finding("refusal", check, evidence, f"set {role}.container and {role}.service")
        elif not found.running:
            yield Finding("refusal", check, f"{service.container} is {found.status}", f"{up} on the host")
        else:
            yield Finding("ok", check, f"{service.container} is running")


def _app(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if state.app_problem:
        yield Finding(
            "refusal",
            "app container",
            f"cannot look into {settings.app.container}: {state.app_problem}",
            "set app.python and app.path",
        )
    if state.app is None:
        return
    for problem in state.app.problems:
        yield Finding("warning", "app container", problem)


def _database(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    postgres = state.containers.get("postgres")
    if postgres is None or not postgres.running:
        return
    if state.database.problem:
        evidence = f"{settings.postgres.database} does not answer: {state.database.problem}"
        yield Finding("refusal", "database", evidence, f"see docker logs {settings.postgres.container}")
        return
    at = ", ".join(state.database.revisions) or ("never stamped" if state.database.tables else "empty")
    yield Finding("ok", "database", f"{settings.postgres.database} answers, at {at}")


def _migrations(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    if state.app and state.app.migrating:
        evidence = f"a migration runs in {settings.app.container} already: {names(state.app.migrating)}"
        yield Finding("refusal", "migrations", evidence, "wait until it has ended, then run the verb again")
        return
    if state.chain is None or state.database.problem:
        return
    if options.keep_schema:
        yield _kept_schema(state, state.chain)
        return
    if problem := migrations.problem(settings, state.database, state.chain):
        yield Finding("refusal", "migrations", *problem)
        return
    stamp = migrations.stamp(settings, state.database)
    pending = migrations.pending(settings, state.database, state.chain)
    stamped = f"to be stamped {stamp}; " if stamp else ""
    waiting = names(tuple(f"{revision.id} {revision.message}".strip() for revision in pending))
    yield Finding("ok", "migrations", stamped + (f"{len(pending)} pending: {waiting}" if pending else "none pending"))


def dumped(settings: Settings, state: State, options: Options) -> bool:
    """Is the database dumped, since it is migrated?"""
    if state.chain is None or options.keep_schema or options.no_backup or not settings.backup.before_migration:
        return False
    return bool(migrations.pending(settings, state.database, state.chain))


def _backup(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    """Judge the room for a dump as backups.sh does: a dump is at most about as large as the database."""
    free, floor = state.backup_free_mib, settings.preflight.min_free_mib
    if free is None or not state.database.size or not dumped(settings, state, options):
        return
    size = -(-state.database.size // MIB)
    place = f"{free} MiB free for a dump in {settings.backup.dir or BACKUPS}"
    if free < size + floor:
        evidence = f"{place}: the database has {size} MiB, and {floor} MiB have to stay free"
        yield Finding("refusal", "backup", evidence, "free some space there, or set backup.dir, or give --no-backup")
    else:
        yield Finding("ok", "backup", f"{place}, the database has {size} MiB")


def _kept_schema(state: State, chain: Chain) -> Finding:
    """Say what it means that the schema is left as it is."""
    if ahead := migrations.unknown(state.database, chain):
        known = {revision.id for revision in chain.revisions}
        newer = [r for r in (state.app.chain.revisions if state.app and state.app.chain else ()) if r.id not in known]
        told = names(tuple(f"{r.id} {r.message}".strip() for r in newer)) or ", ".join(ahead)
        evidence = f"this code will run on a newer schema: the database has {told}"
        return Finding(
            "warning", "migrations", evidence, "inv backup --list names the dumps that go with older schemas"
        )
    waiting = chain.pending(state.database.revisions)
    if waiting:
        evidence = f"{len(waiting)} pending, and not run"
        return Finding("warning", "migrations", evidence, "leave --keep-schema out to run them")
    return Finding("ok", "migrations", "this code knows the database's revision")


def _health(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    app = state.containers.get("app")
    if app is None or not app.running:
        return
    for check in settings.health.checks:
        probes = state.probes.get(check.name, ())
        if not probes:
            continue
        last = probes[-1]
        if last.status == 404:
            evidence = f"404 at {', '.join(probe.url for probe in probes)}"
            yield Finding("refusal", "health", evidence, f"set the paths of the check {check.name} under health.checks")
        elif 200 <= last.status < 300:
            yield Finding("ok", "health", f"{last.url} answers {last.status}")
        else:
            answer = f"answers {last.status}" if last.status else "does not answer"
            why = last_error(settings, state)
            evidence = f"{last.url} {answer}" + (f": {why}" if why else "")
            yield Finding("warning", "health", evidence, "the app is ill; the update may be the cure")


def unsuitable(state: State) -> dict[str, str]:
    """Files baked into the image that the target changes against what runs, with the blobs that the image has.

    Where the running revision is unknown their bytes in the container tell; a file that is not there (.dockerignore)
    counts when it changed since the clone's HEAD.
    """
    app, since_head = state.app, state.image_changes_since_head
    if state.running and app and app.record and app.record.complete:
        return {name: blob for name, blob in state.image_changes.items() if name not in _restored(state)}
    changed = [name for name in state.image_files if app and _differs(name, app, since_head)]
    return {name: (app and app.differs.get(name)) or since_head.get(name, UNKNOWN) for name in changed}


def _differs(name: str, app: App, since_head: Container[str]) -> bool:
    if name in app.installed:
        return app.installed[name]
    absent = app.differs.get(name, "") is None
    return name in (since_head if absent else app.differs)


def overridden(state: State) -> dict[str, str]:
    """Such changes that an earlier run was allowed to ignore and the image still lacks, with the blobs that it has."""
    recorded = _overridden_earlier(state)
    return {name: blob for name, blob in recorded.items() if state.image_files.get(name, "") != blob}


def _restored(state: State) -> set[str]:
    """Such changes that the target takes back: it has the image's files again."""
    return _overridden_earlier(state).keys() - overridden(state).keys()


def _overridden_earlier(state: State) -> Mapping[str, str]:
    return state.app.record.overridden if state.app and state.app.record else {}


def _suitable(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    if state.app is None or not state.repository.target:
        return
    deployment = f"use the standard deployment: rebuild {settings.app.image}, recreate {settings.app.service}"
    changed = tuple(unsuitable(state))
    if changed:
        level: Level = "warning" if options.allow_unsuitable else "refusal"
        allowed = "; --allow-unsuitable is given" if options.allow_unsuitable else ", or give --allow-unsuitable"
        yield Finding(
            level, "suitable", f"not suitable for a hot update: {names(changed)} changed", deployment + allowed
        )
    if earlier := tuple(name for name in overridden(state) if name not in changed):
        yield Finding("warning", "suitable", f"the image still lacks earlier changes of {names(earlier)}", deployment)
    if not changed and not earlier:
        yield Finding("ok", "suitable", "no change to dependencies, image, Compose, Nginx or Supervisor")


def drift(state: State) -> str:
    """Say how what runs differs from what was deployed; nothing where it does not."""
    app = state.app
    if app is None:
        return "unknown: the container cannot be looked into"
    if app.record is None:
        return _of_the_image(state)
    if not app.record.complete:
        return f"a copy of {app.record.revision[:7]} was not finished (run {app.record.run})"
    if app.drift:
        return f"changed by hand: {names(app.drift)}"
    if app.processes and not state.fresh:
        return "the app server is older and runs what was there before"
    return ""


def _of_the_image(state: State) -> str:
    """Say what runs in a container without a record: the code of its image, whatever was deployed since."""
    image = state.image_revision[:7] or f"the image of {state.image_created[:10]}"
    deployed = releases.deployed(state)
    if not deployed:
        return f"unknown: never hot-updated, the code is that of {image}"
    return f"the container was recreated since {deployed[:7]} was deployed, the code is that of {image} again"


def _release(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    if state.app is None:
        return
    told, record = drift(state), state.app.record
    if record is None or not record.complete:
        yield Finding("warning", "release", told, "the update copies every file")
    elif state.app.drift:
        remedy = "the update puts them right; what git does not know is saved"
        yield Finding("warning", "release", f"{record.revision[:7]}, but {told}", remedy)
    elif told:
        yield Finding("warning", "release", f"{record.revision[:7]}, but {told}", "the update restarts it")
    else:
        yield Finding("ok", "release", f"{record.revision[:7]} runs")


def _lock(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    verb, operator, run = (state.holder.get(name, "?") for name in ("verb", "operator", "run"))
    holder = f"{verb} by {operator}, run {run}"
    if state.lock_held:
        yield Finding("warning", "lock", f"held by {holder}", "inv attach follows it")
    elif state.holder:
        yield Finding("warning", "lock", f"left by {holder}, which is gone", "the next run takes it over")
