"""What a cell of the matrix compares: production before the fault, and how it is when all has ended."""

import hashlib
import io
import re
import subprocess
import tarfile
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from deploy import health, settings, shell
from deploy.host.local import LocalHost
from deploy.sandbox import compose, databases, stack
from deploy.sandbox.command import run, works
from deploy.sandbox.git import commit, git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.releases import SUPERVISOR
from deploy.sandbox.shape import HOSTS, TODAY
from deploy.state import PastRun, kept
from tests.sandbox.conftest import ROOT
from tests.sandbox.facts import holder

# Of today's shape, on one host or on several.
TODAYS = (TODAY, HOSTS)
VERSIONS = "migrations/versions"
SUPERVISED = "/etc/supervisor/conf.d/whalefall.conf"
PASSING = "app/legacy"
# What the app itself writes all the time.
RESTLESS = ("./logs", "./scheduler.lock", "./scheduler_life")
RUN_MARK = "HOT_UPDATE_RUN="
# Among so many every worker has some.
PAGES = 8


@dataclass(frozen=True)
class Before:
    """Production before an update: its release and the coming one, and all that neither may change."""

    old: str
    new: str
    old_database: str
    new_database: str
    refs: dict[str, str]
    env: bytes
    # By the containers that run the code.
    venv: dict[str, str]
    userdata: dict[str, str]
    extra: dict[str, frozenset[str]]
    # What is built, served and lies elsewhere, of today's shape: the frontend exactly, and what is to be in it.
    frontend: dict[str, str]
    built: dict[str, dict[str, str]]


def publish(sandbox: Sandbox) -> None:
    """Publish a release that changes code, deletes a file and migrates; of today's shape it also needs a build, and has
    another program for Supervisor."""
    if sandbox.shape in TODAYS:
        stack.release(sandbox.name, "frontend")
    stack.release(sandbox.name, "migration")
    tree = sandbox.developer
    number = git(tree, "rev-parse", "--short", "HEAD")
    for old in (tree / PASSING).glob("passing_*.py"):
        old.unlink()
    (tree / PASSING / f"passing_{number}.py").write_text("PASSING = True\n")
    if sandbox.shape in TODAYS:
        file = tree / SUPERVISOR
        config = file.read_text(encoding="utf-8").partition("\n[program:passing")[0]
        file.write_text(f"{config}\n[program:passing_{number}]\ncommand=sleep infinity\n", encoding="utf-8")
    commit(tree, "Replace what was passing")
    git(tree, "push", "--quiet", "origin", "main")


def before(sandbox: Sandbox) -> Before:
    """Look at production, which is well and whose clone is at what runs; a release is waiting for it."""
    old = git(sandbox.path, "rev-parse", "HEAD")
    new = git(sandbox.origin, "rev-parse", "main")
    files = everywhere(sandbox)
    for name, found in files.items():
        assert differing(sandbox, old, found) == [], f"the code of {name} is not {old[:7]} before the update"
    return Before(
        old=old,
        new=new,
        old_database=database(sandbox),
        new_database=head(sandbox, new),
        refs=refs(sandbox),
        env=sandbox.env_file.read_bytes(),
        venv=venv(sandbox),
        userdata=userdata(sandbox),
        extra={name: frozenset(found) - frozenset(tracked(sandbox, old)) for name, found in files.items()},
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
    files = everywhere(sandbox)
    first = {name: differing(sandbox, at, files[sandbox.app]) for name, at in (("old", was.old), ("new", was.new))}
    word = min(first, key=lambda name: len(first[name]))
    at = was.old if word == "old" else was.new
    for name, found in files.items():
        if differences := differing(sandbox, at, found):
            problems.append(f"the code of {name} is in between: of {word} differ {', '.join(differences[:3])}")
        extra = frozenset(found) - frozenset(tracked(sandbox, at))
        if extra != was.extra[name]:
            problems.append(f"other files in {name} than before: {sorted(extra ^ was.extra[name])[:3]}")
    if git(sandbox.path, "rev-parse", "HEAD") != at:
        problems.append(f"the code is {word}, but the clone is not")
    return word, problems + service_problems(sandbox, was, word, at)


def service_problems(sandbox: Sandbox, was: Before, word: str, at: str) -> list[str]:
    """What is wrong with how the release serves, with the database, and with what nobody may touch."""
    problems = []
    path = "/old/" if sandbox.shape in TODAYS else "/"
    pages = [compose.answer(sandbox.http_port, path)[1] for _ in range(PAGES)]
    served = {found[1] if (found := re.search(r"release (\d+)", page)) else "none" for page in pages}
    wanted = release_number(sandbox, at)
    if served != {wanted}:
        problems.append(f"release {', '.join(sorted(served))} is served, {wanted} is there")
    expected = {was.new_database} if word == "new" else {was.old_database, was.new_database}
    now = database(sandbox)
    if now not in expected:
        problems.append(f"the database is at {now}")
    if (f"note_{release_number(sandbox, was.new)}" in columns(sandbox)) != (now == was.new_database):
        problems.append(f"the database says {now}, its tables do not")
    if venv(sandbox) != was.venv:
        problems.append("the virtual environment changed")
    if userdata(sandbox) != was.userdata:
        problems.append("what customers have changed")
    if sandbox.shape in TODAYS:
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
    if sandbox.shape not in TODAYS:
        return {}
    git(tree, "checkout", "--quiet", "--force", "--detach", at)
    run("sh", tree / "frontend/build")
    folder = tree / "frontend/dist"
    made = (file for file in folder.rglob("*") if file.is_file())
    return {f"./{file.relative_to(folder)}": hashlib.sha256(file.read_bytes()).hexdigest() for file in made}


def is_whole(sandbox: Sandbox, was: Before) -> bool:
    """Tell whether the code everywhere and the clone are at one release."""
    at = git(sandbox.path, "rev-parse", "HEAD")
    found = everywhere(sandbox).values()
    return at in (was.old, was.new) and not any(differing(sandbox, at, files) for files in found)


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


def everywhere(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    """What in_app tells of each container that runs the code."""
    return {name: in_app(sandbox, name) for name in compose.running_code(sandbox)}


def in_app(sandbox: Sandbox, container: str) -> dict[str, str]:
    """The blob of each file of the code, but for what is protected, what is built and what Python compiled."""
    apart = ("./.venv", "./userdata", "./.env", "./.git", "./frontend/dist", "__pycache__")
    command = ["docker", "exec", container, "tar", "-C", sandbox.shape.path, *(f"--exclude={name}" for name in apart)]
    packed = subprocess.run([*command, "-cf", "-", "."], capture_output=True, check=True).stdout
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
    """The files of the code that are not as in a commit; those of the other release that are too much, too."""
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
    return ",".join(databases.sql(sandbox, "SELECT version_num FROM alembic_version ORDER BY 1").split())


def columns(sandbox: Sandbox) -> list[str]:
    table = "SELECT column_name FROM information_schema.columns WHERE table_name = 'instances'"
    return databases.sql(sandbox, table).split()


def checksum(container: str, folder: str, *excluded: str) -> str:
    """The sum of the names, modes, owners and bytes of everything in a folder of a container."""
    options = [f"--exclude={name}" for name in (*excluded, "__pycache__")]
    packed = ["tar", "-C", folder, "--sort=name", "--mtime=@0", *options, "-cf", "-", "."]
    return run("docker", "exec", container, "sh", "-c", '"$@" | sha256sum', "sh", *packed)


def userdata(sandbox: Sandbox) -> dict[str, str]:
    folder = str(PurePosixPath(sandbox.shape.path, sandbox.shape.userdata))
    return {name: checksum(name, folder, *RESTLESS) for name in compose.running_code(sandbox)}


def venv(sandbox: Sandbox) -> dict[str, str]:
    """Of the shapes that have one among the code."""
    folder = f"{sandbox.shape.path}/.venv"
    there = sandbox.shape.flask.startswith(f"{folder}/")
    return {name: checksum(name, folder) for name in compose.running_code(sandbox) if there}


def marks(sandbox: Sandbox) -> list[str]:
    """The marks of runs in the environments of the containers' processes."""
    look = f"cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep '^{RUN_MARK}' || true"
    found = (run("docker", "exec", name, "sh", "-c", look).split() for name in compose.running_code(sandbox))
    return [mark for marks in found for mark in marks]


def healthy(sandbox: Sandbox) -> bool:
    """Tell whether every check of the settings is healthy within a few seconds, database and Redis too."""
    chosen = settings.load(project=ROOT, target=sandbox.name)
    asked = [check for check in chosen.health.checks if not check.inside]
    with LocalHost().http() as session:
        answers = health.wait(session, asked, timeout=3, deadline=5)
    return all(answer.healthy for answer in answers) and all(
        _is_well(name, check) for check in chosen.health.checks if check.inside for name in _serving(sandbox)
    )


def _serving(sandbox: Sandbox) -> list[str]:
    return [sandbox.app, *compose.replicas(sandbox)]


def _is_well(container: str, check: settings.Check) -> bool:
    ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
    return works("docker", "exec", container, "python3", "-c", ask, check.url + check.paths[0])
