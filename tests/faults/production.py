"""What a cell of the matrix compares: production before the fault, and how it is when all has ended."""

import hashlib
import io
import re
import subprocess
import tarfile
from dataclasses import dataclass, replace

from deploy import health, settings, shell
from deploy.host.local import LocalHost
from deploy.sandbox import compose, databases, stack
from deploy.sandbox.command import run
from deploy.sandbox.git import commit, git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.releases import SUPERVISOR
from deploy.sandbox.shape import TODAY
from deploy.state import PastRun, kept
from tests.sandbox.conftest import ROOT
from tests.sandbox.facts import holder

VERSIONS = "migrations/versions"
SUPERVISED = "/etc/supervisor/conf.d/whalefall.conf"
PASSING = "app/legacy"
# What the app itself writes all the time.
RESTLESS = ("./logs", "./scheduler.lock", "./scheduler_life")
RUN_MARK = "HOT_UPDATE_RUN="


@dataclass(frozen=True)
class Before:
    """Production before an update: its release and the coming one, and all that neither may change."""

    old: str
    new: str
    old_database: str
    new_database: str
    refs: dict[str, str]
    env: bytes
    venv: str
    userdata: str
    extra: frozenset[str]
    # What is built, served and lies elsewhere, of today's shape: the frontend exactly, and what is to be in it.
    frontend: dict[str, str]
    built: dict[str, dict[str, str]]


def publish(sandbox: Sandbox) -> None:
    """Publish a release that changes code, deletes a file and migrates; of today's shape it also needs a build, and has
    another program for Supervisor."""
    if sandbox.shape == TODAY:
        stack.release(sandbox.name, "frontend")
    stack.release(sandbox.name, "migration")
    tree = sandbox.developer
    number = git(tree, "rev-parse", "--short", "HEAD")
    for old in (tree / PASSING).glob("passing_*.py"):
        old.unlink()
    (tree / PASSING / f"passing_{number}.py").write_text("PASSING = True\n")
    if sandbox.shape == TODAY:
        file = tree / SUPERVISOR
        config = file.read_text(encoding="utf-8").partition("\n[program:passing")[0]
        file.write_text(f"{config}\n[program:passing_{number}]\ncommand=sleep infinity\n", encoding="utf-8")
    commit(tree, "Replace what was passing")
    git(tree, "push", "--quiet", "origin", "main")


def before(sandbox: Sandbox) -> Before:
    """Look at production, which is well and whose clone is at what runs; a release is waiting for it."""
    old = git(sandbox.path, "rev-parse", "HEAD")
    new = git(sandbox.origin, "rev-parse", "main")
    files = in_app(sandbox)
    assert differing(sandbox, old, files) == [], f"/app is not {old[:7]} before the update"
    return Before(
        old=old,
        new=new,
        old_database=database(sandbox),
        new_database=head(sandbox, new),
        refs=refs(sandbox),
        env=sandbox.env_file.read_bytes(),
        venv=checksum(sandbox, "/app/.venv"),
        userdata=userdata(sandbox),
        extra=frozenset(files) - frozenset(tracked(sandbox, old)),
        frontend=frontend(sandbox),
        built={at: built(sandbox, at) for at in (old, new)},
    )


def without_customer_files(sandbox: Sandbox, was: Before) -> Before:
    """What is kept from here on: a new container has lost what lay in userdata, and what only open pages wanted."""
    return replace(was, userdata=userdata(sandbox), frontend={})


def clone_problems(sandbox: Sandbox, was: Before) -> list[str]:
    """What is wrong with the clone, .env and the lock; to be looked at before anything is mended."""
    problems = []
    status = git(sandbox.path, "status", "--porcelain")
    if status:
        problems.append(f"the work tree is not clean: {status.splitlines()[0]}")
    if git(sandbox.path, "rev-parse", "--abbrev-ref", "HEAD") != "main":
        problems.append("the clone is not on main")
    at, now = git(sandbox.path, "rev-parse", "HEAD"), refs(sandbox)
    for ref in was.refs.keys() | now.keys():
        # The fetch moves what is known of the remote, whatever comes of the update.
        allowed = {"refs/heads/main": {at}, "refs/remotes/origin/main": {was.old, was.new}}
        allowed["refs/remotes/origin/HEAD"] = allowed["refs/remotes/origin/main"]
        if now.get(ref) not in allowed.get(ref, {was.refs.get(ref)}):
            problems.append(f"{ref} is at {now.get(ref)}")
    if sandbox.env_file.read_bytes() != was.env:
        problems.append(".env changed")
    if (sandbox.path / ".git/index.lock").exists():
        problems.append("git's index.lock is left")
    if holder(sandbox) or not is_free(sandbox):
        problems.append("the lock is held")
    return problems


def release(sandbox: Sandbox, was: Before) -> tuple[str, list[str]]:
    """Tell which release production is at, old or new, and everything that contradicts it."""
    problems = []
    files = in_app(sandbox)
    differences = {name: differing(sandbox, at, files) for name, at in (("old", was.old), ("new", was.new))}
    word = min(differences, key=lambda name: len(differences[name]))
    if differences[word]:
        problems.append(f"/app is in between: of {word} differ {', '.join(differences[word][:3])}")
    at = was.old if word == "old" else was.new
    extra = frozenset(files) - frozenset(tracked(sandbox, at))
    if extra != was.extra:
        problems.append(f"other files in /app than before: {sorted(extra ^ was.extra)[:3]}")
    if git(sandbox.path, "rev-parse", "HEAD") != at:
        problems.append(f"/app is {word}, but the clone is not")
    return word, problems + service_problems(sandbox, was, word, at)


def service_problems(sandbox: Sandbox, was: Before, word: str, at: str) -> list[str]:
    """What is wrong with how the release serves, with the database, and with what nobody may touch."""
    problems = []
    page = compose.answer(sandbox.http_port, "/old/" if sandbox.shape == TODAY else "/")[1]
    served, wanted = re.search(r"release (\d+)", page), release_number(sandbox, at)
    if not served or served[1] != wanted:
        problems.append(f"release {served[1] if served else 'none'} is served, {wanted} is in /app")
    expected = {was.new_database} if word == "new" else {was.old_database, was.new_database}
    now = database(sandbox)
    if now not in expected:
        problems.append(f"the database is at {now}")
    if (f"note_{release_number(sandbox, was.new)}" in columns(sandbox)) != (now == was.new_database):
        problems.append(f"the database says {now}, its tables do not")
    if checksum(sandbox, "/app/.venv") != was.venv:
        problems.append("/app/.venv changed")
    if userdata(sandbox) != was.userdata:
        problems.append("/app/userdata changed")
    if sandbox.shape == TODAY:
        problems += elsewhere_problems(sandbox, was, word, at)
    left = [mark for mark in marks(sandbox) if mark]
    if left:
        problems.append(f"{len(left)} processes of a run are left in the container")
    return problems


def elsewhere_problems(sandbox: Sandbox, was: Before, word: str, at: str) -> list[str]:
    """What is not of the release: the frontend, Supervisor's settings and its programs."""
    problems = []
    served, wanted = frontend(sandbox), was.built[at]
    if word == "old" and was.frontend and served != was.frontend:
        problems.append(f"the old frontend is not as before: {sorted(served.items() ^ was.frontend.items())[:2]}")
    if not wanted.items() <= served.items():
        problems.append(f"the frontend is not the {word} one: {sorted(wanted.items() - served.items())[:2]}")
    config = git(sandbox.origin, "show", f"{at}:{SUPERVISOR}")
    if compose.execute(sandbox.app, "cat", SUPERVISED).rstrip("\n") != config:
        problems.append(f"Supervisor's settings are not the {word} ones")
    known = set(re.findall(r"^\[program:(.*)\]$", config, re.MULTILINE))
    running = {
        line.split()[0]
        for line in compose.execute(sandbox.app, "sh", "-c", "supervisorctl status || true").splitlines()
    }
    if running != known:
        problems.append(f"Supervisor runs {sorted(running ^ known)} besides, or not")
    return problems


def frontend(sandbox: Sandbox) -> dict[str, str]:
    """The sum of each file that Nginx serves of the frontend; none of January's."""
    tell = "cd /app/frontend/dist 2>/dev/null && find . -type f -exec sha256sum {} + || true"
    lines = compose.execute(sandbox.app, "sh", "-c", tell).splitlines()
    return {name: sum_ for sum_, name in (line.split(None, 1) for line in lines)}


def built(sandbox: Sandbox, at: str) -> dict[str, str]:
    """The sum of each file that the frontend of a commit is built into."""
    tree = sandbox.developer
    if sandbox.shape != TODAY:
        return {}
    git(tree, "checkout", "--quiet", "--force", "--detach", at)
    run("sh", tree / "frontend/build")
    folder = tree / "frontend/dist"
    made = (file for file in folder.rglob("*") if file.is_file())
    return {f"./{file.relative_to(folder)}": hashlib.sha256(file.read_bytes()).hexdigest() for file in made}


def is_whole(sandbox: Sandbox, was: Before) -> bool:
    """Tell whether /app and the clone are both at one release."""
    at = git(sandbox.path, "rev-parse", "HEAD")
    return at in (was.old, was.new) and not differing(sandbox, at, in_app(sandbox))


def history(sandbox: Sandbox) -> list[PastRun]:
    """Read every run that the host remembers."""
    file = sandbox.path / ".git/hot-update/history"
    return [kept.past_run(row) for row in shell.records(file.read_text(encoding="utf-8"))] if file.exists() else []


def outcome(sandbox: Sandbox, run: str) -> str:
    """How a run ended, as the host remembers it."""
    return ", ".join(past.outcome for past in history(sandbox) if past.id == run)


def history_problems(sandbox: Sandbox, run: str, word: str, *, healthy: bool, updated: bool) -> list[str]:
    """What the history says of a run that is not so; `healthy`: before anybody mended it or `updated` it again."""
    told = outcome(sandbox, run)
    if told not in ("done", "refused", "undone", "undone-ill", "failed"):
        return [f"the history says {told or 'nothing'} of the run"]
    problems = []
    if not updated and (told == "done") != (word == "new"):
        problems.append(f"the history says {told}, production is {word}")
    if told in ("done", "undone") and not healthy:
        problems.append(f"the history says {told}, production was ill")
    return problems


def is_free(sandbox: Sandbox) -> bool:
    """Tell whether no process of a run is left on the host."""
    lock = sandbox.path / ".git/hot-update/lock"
    return not lock.exists() or subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0


def refs(sandbox: Sandbox) -> dict[str, str]:
    told = git(sandbox.path, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in told)


def tracked(sandbox: Sandbox, at: str) -> dict[str, str]:
    """The blob of each file of a commit."""
    listed = git(sandbox.origin, "ls-tree", "-r", "-z", at).split("\0")
    return {name: told.split(" ")[2] for told, _, name in (entry.partition("\t") for entry in listed if entry)}


def in_app(sandbox: Sandbox) -> dict[str, str]:
    """The blob of each file in /app, but for what is protected, what is built and what Python compiled."""
    command = ["docker", "exec", sandbox.app, "tar", "-C", "/app", "--exclude=./.venv", "--exclude=./userdata"]
    options = ["--exclude=./.env", "--exclude=./frontend/dist", "--exclude=__pycache__", "-cf", "-", "."]
    packed = subprocess.run([*command, *options], capture_output=True, check=True).stdout
    blobs = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for entry in tar:
            if entry.isdir():
                continue
            stream = tar.extractfile(entry) if entry.isreg() else None
            content = stream.read() if stream else entry.linkname.encode()
            blobs[entry.name.removeprefix("./")] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return blobs


def differing(sandbox: Sandbox, at: str, files: dict[str, str]) -> list[str]:
    """The files of /app that are not as in a commit; those of the other release that are too much, too."""
    wanted = tracked(sandbox, at)
    passing = {name for name in files.keys() - wanted.keys() if re.match(f"{PASSING}/passing_|{VERSIONS}/", name)}
    return sorted(passing | {name for name in wanted if files.get(name) != wanted[name]})


def release_number(sandbox: Sandbox, at: str) -> str:
    return git(sandbox.origin, "show", f"{at}:app/release.py").rpartition(" ")[2].strip()


def head(sandbox: Sandbox, at: str) -> str:
    """The revision of a commit's newest migration: the last of their names."""
    names = [name for name in tracked(sandbox, at) if name.startswith(f"{VERSIONS}/2")]
    return max(name.removeprefix(f"{VERSIONS}/").partition("_")[0] for name in names)


def database(sandbox: Sandbox) -> str:
    return databases.sql(sandbox, "SELECT string_agg(version_num, ',') FROM alembic_version")


def columns(sandbox: Sandbox) -> list[str]:
    table = "SELECT column_name FROM information_schema.columns WHERE table_name = 'instances'"
    return databases.sql(sandbox, table).split()


def checksum(sandbox: Sandbox, folder: str, *excluded: str) -> str:
    """One sum of the names, modes, owners and bytes of everything in a folder of the container."""
    options = [f"--exclude={name}" for name in (*excluded, "__pycache__")]
    packed = ["tar", "-C", folder, "--sort=name", "--mtime=@0", *options, "-cf", "-", "."]
    return run("docker", "exec", sandbox.app, "sh", "-c", '"$@" | sha256sum', "sh", *packed)


def userdata(sandbox: Sandbox) -> str:
    return checksum(sandbox, "/app/userdata", *RESTLESS)


def marks(sandbox: Sandbox) -> list[str]:
    """The marks of runs in the environments of the container's processes."""
    look = f"cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep '^{RUN_MARK}' || true"
    return run("docker", "exec", sandbox.app, "sh", "-c", look).split()


def healthy(sandbox: Sandbox) -> bool:
    """Tell whether every check of the settings is healthy within a few seconds, database and Redis too."""
    checks = settings.load(project=ROOT, target=sandbox.name).health.checks
    with LocalHost().http() as session:
        answers = health.wait(session, checks, timeout=3, deadline=5)
    return all(answer.healthy for answer in answers)
