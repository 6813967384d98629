"""Make a sandbox ill in a chosen way, and well again."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from deploy.errors import Exit, Failure
from deploy.message import Message, say
from deploy.sandbox import sshd
from deploy.sandbox.command import run
from deploy.sandbox.compose import all_run, compose, execute, replicas, restart_app, start, wait_until_healthy
from deploy.sandbox.databases import CONSOLE, administer, kind_of, sql
from deploy.sandbox.git import commit, git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.host import write_private
from deploy.sandbox.shape import Shape

CRASH_SECONDS = 60.0
# A file that nearly every release changes, so that an update cures the app.
CRASHING = "/app/app/release.py"
# Where the file lies meanwhile: outside the app, lost with the container as the damage is.
CRASHING_KEPT = "/var/tmp/release.py.before-crash-loop"
# Ends the names of what a break takes out of the way.
ASIDE = ".taken-away"
MESSAGE = "production fell ill here"
# What kinds need that not every shape has, and whether it has.
NEEDED: dict[str, tuple[Message, Callable[[Shape], bool]]] = {
    "crash-loop": (say("a Supervisor"), lambda shape: bool(shape.programs)),
    "service-stopped": (say("a Redis"), lambda shape: bool(shape.redis)),
    "ill-replica": (say("replicas"), lambda shape: shape.replicas > 1),
}
# Marks the line by which a container looks for the database where it is not.
ASTRAY = "astray.invalid"
# As long as this is there, in the database's container, somebody has forgotten a console.
FORGOTTEN = "/tmp/forgotten-console"


def break_(sandbox: Sandbox, kind: str) -> Message:
    """Make the sandbox ill; return in one line what was done."""
    cause = _CAUSES.get(kind)
    if cause is None:
        raise Failure(
            say("there is no kind of illness %s", repr(kind)), remedy=say("one of: %s", KINDS), code=Exit.USAGE
        )
    missing = {one: needed for one, (needed, has) in NEEDED.items() if not has(sandbox.shape)}
    if kind in missing:
        shape = sandbox.shape.name
        fact = say("no illness of the kind %s: the app of the shape %s is without %s", kind, shape, missing[kind])
        fitting = tuple(one for one in KINDS if one not in missing)
        raise Failure(fact, remedy=say("one of: %s", fitting), code=Exit.USAGE)
    with _illnesses(sandbox).open("a", encoding="ascii") as illnesses:
        illnesses.write(f"{kind}\n")
    return cause(sandbox)


def restore(sandbox: Sandbox) -> None:
    """Undo every illness. Code and database stay at the release that they are at."""
    sshd.set_login_file(sandbox, "")
    _ballast(sandbox).unlink(missing_ok=True)
    _restore_env(sandbox)
    _restore_clone(sandbox)
    for name in replicas(sandbox)[sandbox.shape.replicas - 1 :]:
        run("docker", "rm", "--force", "--volumes", name)
    if not all_run(sandbox):
        start(sandbox)
    had = _illnesses(sandbox).read_text(encoding="ascii").split() if _illnesses(sandbox).exists() else []
    for kind, cure in _CURES.items():
        if kind in had:
            cure(sandbox)
    wait_until_healthy(sandbox)
    _illnesses(sandbox).unlink(missing_ok=True)


def _stop_service(sandbox: Sandbox) -> Message:
    run("docker", "stop", sandbox.redis)
    return say("stopped the container %s", sandbox.redis)


def _crash_loop(sandbox: Sandbox) -> Message:
    script = f'test -e "$1" || cp -p {CRASHING} "$1"; echo "raise SystemError(\'$2\')" >{CRASHING}'
    execute(sandbox.app, "sh", "-ec", script, "sh", CRASHING_KEPT, MESSAGE)
    before = _crashes(sandbox)
    restart_app(sandbox)
    deadline = time.monotonic() + CRASH_SECONDS
    while _crashes(sandbox) == before and time.monotonic() < deadline:
        time.sleep(0.2)
    return say("%s in %s raises an error: Gunicorn crashes and is started again, for ever", CRASHING, sandbox.app)


def _crashes(sandbox: Sandbox) -> str:
    """How often the app's logs tell of it: a door that does not answer may only be about to open."""
    return execute(sandbox.app, "sh", "-c", 'cat /app/userdata/logs/* | grep -c "$1" || :', "sh", MESSAGE).strip()


def _take_env(sandbox: Sandbox) -> Message:
    _restore_env(sandbox)
    sandbox.env_file.rename(_env_aside(sandbox))
    return say("took away %s", str(sandbox.env_file))


def _name_secrets_like_words(sandbox: Sandbox) -> Message:
    _take_env(sandbox)
    head = git(sandbox.path, "rev-parse", "HEAD")
    names = (
        "postgres",
        sandbox.shape.dbname,
        sandbox.shape.owner,
        "migrations",
        "origin/main",
        sandbox.app,
        sandbox.path,
        head,
    )
    words = ("complete", "revision", "container", "database", "confirmed", "db_revision", "running_known")
    lines = [f"WORD_{number}_KEY={word}\n" for number, word in enumerate((*words, *names))]
    kept = _env_aside(sandbox).read_text(encoding="utf-8")
    write_private(sandbox.env_file, kept + "".join(lines))
    return say("added secrets to %s that are words of ours and names of the settings", str(sandbox.env_file))


def _unstamp(sandbox: Sandbox) -> Message:
    """Have it as one that was made from SQL files: nothing here remembers a revision either."""
    for trace in _traces(sandbox):
        trace.rename(trace.with_name(f"{trace.name}{ASIDE}"))
    return _forget_stamp(sandbox)


def _forget_stamp(sandbox: Sandbox) -> Message:
    revision = sql(sandbox, "SELECT version_num FROM alembic_version")
    _revision(sandbox).write_text(revision, encoding="ascii")
    sql(sandbox, "DROP TABLE alembic_version")
    return say("dropped the table alembic_version, which said %s", revision)


def _close_database(sandbox: Sandbox) -> Message:
    administer(sandbox, kind_of(sandbox).close)
    return say("the database refuses every connection, while %s is up", sandbox.database)


def _fill_disk(sandbox: Sandbox) -> Message:
    if not sandbox.host.is_mount():
        raise Failure(say("disk-full needs a sandbox that root made: only that has a filesystem of its own"))
    free = os.statvfs(sandbox.host)
    with _ballast(sandbox).open("ab") as ballast:
        os.posix_fallocate(ballast.fileno(), 0, os.fstat(ballast.fileno()).st_size + free.f_bavail * free.f_frsize)
    return say("filled the disk of %s", str(sandbox.host))


def _recreate(sandbox: Sandbox) -> Message:
    compose(sandbox, "up", "--detach", "--no-build", "--no-deps", "--force-recreate", sandbox.shape.app)
    wait_until_healthy(sandbox)
    return say("recreated the container %s: what was copied into it is gone", sandbox.app)


def _add_replica(sandbox: Sandbox) -> Message:
    """Have Compose start one more container of the app's service, by a file in which it has neither name nor ports."""
    override = sandbox.root / "replica.yml"
    app, wanted = sandbox.shape.app, sandbox.shape.replicas + 1
    override.write_text(f"services: {{{app}: {{container_name: !reset null, ports: !reset []}}}}\n", encoding="ascii")
    files = ("--file", sandbox.shape.compose_file, "--file", str(override))
    told = (
        "--detach",
        "--no-build",
        "--no-deps",
        "--no-recreate",
        "--scale",
        f"{app}={wanted}",
        app,
    )
    run("docker", "compose", "--project-name", sandbox.project, *files, "up", *told, cwd=sandbox.path)
    return say("started %s, one more container of the service %s", replicas(sandbox)[-1], app)


def _lead_replica_astray(sandbox: Sandbox) -> Message:
    """Have one container of several not find the database: it answers, but not well."""
    name = replicas(sandbox)[0]
    execute(name, "sh", "-c", f'echo "127.0.0.1 $1 {ASTRAY}" >>/etc/hosts', "sh", _database_host(sandbox), user="root")
    # It has sessions.
    administer(sandbox, kind_of(sandbox).close)
    administer(sandbox, kind_of(sandbox).open)
    return say("%s looks for the database at %s", name, "127.0.0.1")


def _make_dirty(sandbox: Sandbox) -> Message:
    with (sandbox.path / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("Changed on production.\n")
    (sandbox.path / "docs/release notes.txt").unlink(missing_ok=True)
    (sandbox.path / "notes of the night.txt").write_text("to be kept\n", encoding="utf-8")
    return say("changed README.md, deleted docs/release notes.txt, left notes of the night.txt")


def _commit_here(sandbox: Sandbox) -> Message:
    (sandbox.path / "hotfix.txt").write_text(f"made on production at {time.time():.3f}\n", encoding="utf-8")
    made = commit(sandbox.path, "Fix it on production")
    return say("committed %s on main and did not push it", made[:7])


def _detach(sandbox: Sandbox) -> Message:
    git(sandbox.path, "checkout", "--quiet", "--detach")
    _commit_here(sandbox)
    return say(
        "HEAD is detached at %s, which the remote does not have", git(sandbox.path, "rev-parse", "--short", "HEAD")
    )


def _make_login_noisy(sandbox: Sandbox) -> Message:
    sshd.set_login_file(sandbox, _NOISY_LOGIN)
    return say("every login prints lines, exports names of git, Compose and Bash, ignores signals and sets limits")


# Whatever is found in people's ~/.bashrc, and worse.
_NOISY_LOGIN = """\
echo 'Welcome to production: every login is logged'
printf 'Last maintenance: none'
echo "stty: 'standard input': Inappropriate ioctl for device" >&2
export GIT_DIR=/nowhere GIT_CONFIG_COUNT=broken LC_ALL=de_DE.UTF-8 CDPATH=/ TMPDIR=/nowhere POSIXLY_CORRECT=1
export COMPOSE_PROJECT_NAME=other COMPOSE_FILE=other.yml DOCKER_DEFAULT_PLATFORM=none GREP_OPTIONS=-v BASH_ENV=/nowhere
git() { echo 'not git'; }; docker() { echo 'not docker'; }; export -f git docker
set -u; trap '' TERM INT PIPE; trap 'echo Goodbye' EXIT
ulimit -S -f 100; umask 077; cd /tmp
"""


def _leave_transaction_open(sandbox: Sandbox) -> Message:
    """Leave what a console does that somebody forgot: the client waits for the next command, in a transaction."""
    _close_transaction(sandbox)
    said = "echo 'BEGIN; SELECT count(*) FROM instances;'"
    forgotten = (
        f'touch {FORGOTTEN}; export PGAPPNAME="{CONSOLE}"; '
        f"{{ {said}; while test -e {FORGOTTEN}; do sleep 0.2; done; }} | ({kind_of(sandbox).client})"
    )
    shape = sandbox.shape
    run("docker", "exec", "--detach", sandbox.database, "sh", "-c", forgotten, "sh", shape.owner, shape.dbname)
    _await_consoles(sandbox, "1")
    return say("a forgotten console is idle in a transaction that has read the table instances")


def _rewrite_branch(sandbox: Sandbox) -> Message:
    tree = sandbox.developer
    git(tree, "fetch", "--quiet", "origin")
    git(tree, "checkout", "--quiet", "--force", "-B", "main", "origin/main")
    gone = git(tree, "rev-parse", "HEAD")
    (tree / "docs/second thoughts.md").write_text(f"in place of {gone}\n", encoding="utf-8")
    git(tree, "reset", "--quiet", "--soft", "HEAD~1")
    made = commit(tree, "Release it once more, amended")
    git(tree, "push", "--quiet", "--force", "origin", "main")
    return say("origin's main was rewritten from %s to %s: its last commit is gone from it", gone[:7], made[:7])


_CAUSES: dict[str, Callable[[Sandbox], Message]] = {
    "service-stopped": _stop_service,
    "crash-loop": _crash_loop,
    "env-missing": _take_env,
    "secret-words": _name_secrets_like_words,
    "unstamped": _unstamp,
    "forgotten-stamp": _forget_stamp,
    "database-down": _close_database,
    "disk-full": _fill_disk,
    "recreated": _recreate,
    "replica": _add_replica,
    "ill-replica": _lead_replica_astray,
    "dirty": _make_dirty,
    "unpushed": _commit_here,
    "detached": _detach,
    "noisy-login": _make_login_noisy,
    "idle-transaction": _leave_transaction_open,
    "rewritten-branch": _rewrite_branch,
}
KINDS = tuple(_CAUSES)


def _open_database(sandbox: Sandbox) -> None:
    administer(sandbox, kind_of(sandbox).open)


def _close_transaction(sandbox: Sandbox) -> None:
    """Have the forgotten console end by itself: PostgreSQL takes one that is killed for a crash of its own."""
    execute(sandbox.database, "rm", "-f", FORGOTTEN)
    _await_consoles(sandbox, "0")


def _await_consoles(sandbox: Sandbox, number: str) -> None:
    deadline = time.monotonic() + CRASH_SECONDS
    while administer(sandbox, kind_of(sandbox).consoles) != number and time.monotonic() < deadline:
        time.sleep(0.1)


def _lead_back(sandbox: Sandbox) -> None:
    # Docker has it open, so that it cannot be replaced.
    mend = f"kept=$(grep -v '{ASTRAY}' /etc/hosts); printf '%s\\n' \"$kept\" >/etc/hosts"
    for name in replicas(sandbox):
        execute(name, "sh", "-c", mend, user="root")


def _database_host(sandbox: Sandbox) -> str:
    return urlsplit(sandbox.shape.env["DATABASE_URL"]).hostname or ""


def _restore_clone(sandbox: Sandbox) -> None:
    """Go to the last commit that the remote has too, on main, and drop what git does not know."""
    git(sandbox.path, "fetch", "--quiet", "origin", "main")
    shared = git(sandbox.path, "merge-base", "HEAD", "FETCH_HEAD")
    git(sandbox.path, "checkout", "--quiet", "--force", "-B", "main", shared)
    git(sandbox.path, "branch", "--quiet", "--set-upstream-to=origin/main")
    git(sandbox.path, "clean", "--quiet", "--force", "-d")


def _traces(sandbox: Sandbox) -> list[Path]:
    """What tells that the database had a revision: the history of runs, the descriptions of dumps."""
    state = sandbox.path / ".git" / "hot-update"
    return [path for path in (state / "history", *state.glob("backups/*.about")) if path.exists()]


def _restore_stamp(sandbox: Sandbox) -> None:
    for aside in (sandbox.path / ".git" / "hot-update").rglob(f"*{ASIDE}"):
        trace = aside.with_name(aside.name.removesuffix(ASIDE))
        since = trace.read_bytes() if trace.exists() else b""
        trace.write_bytes(aside.read_bytes() + since)
        aside.unlink()
    kept = _revision(sandbox)
    if not kept.exists():
        return
    stamped = "SELECT count(*) FROM information_schema.tables WHERE table_name = 'alembic_version'"
    if sql(sandbox, stamped) == "0":
        sql(
            sandbox,
            "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
            f"INSERT INTO alembic_version VALUES ('{kept.read_text(encoding='ascii')}')",
        )
    kept.unlink()


def _restore_code(sandbox: Sandbox) -> None:
    """Put the file back that crashes the app, unless an update has done so meanwhile."""
    script = f'test -e "$1" || exit 0; if grep -q "$2" {CRASHING}; then cp -p "$1" {CRASHING}; echo mended; fi; rm "$1"'
    mended = execute(sandbox.app, "sh", "-ec", script, "sh", CRASHING_KEPT, MESSAGE)
    if mended:
        restart_app(sandbox)


# What is not mended whatever the illness was, in the order in which it is.
_CURES: dict[str, Callable[[Sandbox], None]] = {
    "ill-replica": _lead_back,
    "database-down": _open_database,
    "idle-transaction": _close_transaction,
    "unstamped": _restore_stamp,
    "forgotten-stamp": _restore_stamp,
    "crash-loop": _restore_code,
}


def _illnesses(sandbox: Sandbox) -> Path:
    """Name the file of the kinds of illness since production was well, a line each."""
    return sandbox.root / "illnesses"


def _ballast(sandbox: Sandbox) -> Path:
    return sandbox.host / "ballast"


def _env_aside(sandbox: Sandbox) -> Path:
    return sandbox.host / "env.taken-away"


def _restore_env(sandbox: Sandbox) -> None:
    if _env_aside(sandbox).exists():
        _env_aside(sandbox).rename(sandbox.env_file)


def _revision(sandbox: Sandbox) -> Path:
    return sandbox.root / "revision-before-unstamped"
