"""A production that was never hot-updated, through good and bad releases, and what no update may touch."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer, execute, psql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import ROOT, Ended, Inv, run_inv
from tests.sandbox.facts import RECORD, WIDE, facts

pytestmark = pytest.mark.stack

UNKNOWN = "docs/客户 notes 'of' $production.txt"
# In /app, but not in git: the environment, the secrets, the customers' files, and one made from a tracked file.
BESIDE = ("./.venv", "./userdata", "./.env", "./gunicorn.conf.py", "./__pycache__", "*/__pycache__")
# Kills the copy once it has begun to write: its record says so by then.
KILL = """
import glob, os, sys, time
deadline = time.monotonic() + 60
print("watching", flush=True)
while time.monotonic() < deadline:
    try:
        record = open(sys.argv[1]).read()
    except OSError:
        record = ""
    for place in glob.glob("/proc/[0-9]*") if '"complete": false' in record else ():
        try:
            command = open(place + "/cmdline", "rb").read().split(b"\\0")
        except OSError:
            continue
        if b"apply" in command:
            os.kill(int(place[6:]), 9)
            sys.exit()
sys.exit("there was no copy to kill")
"""
SECRET_WORDS = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")


@pytest.fixture(scope="module")
def bystander(docker: None) -> Iterator[str]:
    """A stopped container of somebody else."""
    name = f"bystander-{os.getpid()}"
    run("docker", "run", "--name", name, "debian:bookworm-slim", "true")
    yield name
    run("docker", "rm", "--force", name)


@pytest.fixture(scope="module")
def production(docker: None) -> Iterator[Sandbox]:
    """A production that was never hot-updated, with a file in /app that git does not know."""
    name = f"test-hot-{os.getpid()}"
    sandbox = stack.up(name, import_seconds=0.3, say=lambda text: None)
    execute(sandbox.app, "sh", "-c", 'echo kept >"$1"', "sh", f"/app/{UNKNOWN}")
    yield sandbox
    stack.down(name, say=lambda text: None)


@pytest.fixture(scope="module", autouse=True)
def before(production: Sandbox, bystander: str) -> dict[str, str]:
    return untouchable(production, bystander)


@pytest.fixture(scope="module")
def told() -> list[str]:
    """Everything that the verbs said in this module."""
    return []


@pytest.fixture
def inv(production: Sandbox, told: list[str]) -> Inv:
    """Run a verb on this module's production, its text unwrapped and remembered."""

    def remembered(*words: str) -> Ended:
        ended = run_inv(production.name, *words, environment=WIDE)
        told.append(ended.text)
        return ended

    return remembered


def untouchable(sandbox: Sandbox, bystander: str) -> dict[str, str]:
    """What no update may change, by name; logs and the scheduler's lock change by themselves."""
    inspected = "{{.Id}} {{.Image}} {{.State.StartedAt}} {{.State.Status}}"
    options = ["--sort=name", "--exclude=userdata/logs", "--exclude=userdata/scheduler.lock", "--exclude=__pycache__"]
    packed = ["sh", "-c", 'tar -C /app -cf - "$@" | sha256sum', "sh", *options]
    return {
        "environment": execute(sandbox.app, *packed, ".venv", user="root"),
        "customers' files": execute(sandbox.app, *packed, "userdata", user="root"),
        "unknown file": execute(sandbox.app, "cat", f"/app/{UNKNOWN}"),
        "secrets": hashlib.sha256(sandbox.env_file.read_bytes()).hexdigest() + f" {sandbox.env_file.stat()}"[:40],
        **{
            name: run("docker", "inspect", "--format", inspected, name)
            for name in (sandbox.postgres, sandbox.redis, bystander)
        },
    }


def processes(sandbox: Sandbox) -> list[str]:
    """The container's processes: pid, start time and command."""
    return run("docker", "top", sandbox.app, "-eo", "pid,lstart,args").splitlines()


def in_container(sandbox: Sandbox) -> dict[str, tuple[str, str, str]]:
    """Each file of the code in the container: permissions, owner, and its bytes' name in git."""
    options = [f"--exclude={pattern}" for pattern in BESIDE]
    packed = subprocess.run(
        ["docker", "exec", sandbox.app, "tar", "-C", "/app", *options, "-cf", "-", "."], capture_output=True, check=True
    ).stdout
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            if member.isdir():
                continue
            stream = tar.extractfile(member) if member.isfile() else None
            content = stream.read() if stream else os.fsencode(member.linkname)
            kind = f"{member.mode:o}" if member.isfile() else "link"
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            found[member.name.removeprefix("./")] = (kind, member.uname, blob)
    return found


def in_commit(sandbox: Sandbox, commit: str) -> dict[str, tuple[str, str, str]]:
    """The same of a commit's files, as they should be in the container."""
    kinds = {"100644": "644", "100755": "755", "120000": "link"}
    entries = git(sandbox.origin, "ls-tree", "-r", "-z", commit).split("\0")
    rows = [entry.split("\t", 1) for entry in entries if entry]
    return {name: (kinds[about.split()[0]], "whalefall", about.split()[2]) for about, name in rows}


def assert_runs(sandbox: Sandbox, commit: str) -> None:
    """The code in the container is the commit's, byte for byte, and what git never knew is still there."""
    found = in_container(sandbox)
    assert found.pop(UNKNOWN)
    assert found == in_commit(sandbox, commit)


def revision(sandbox: Sandbox) -> str:
    return psql(sandbox, "SELECT version_num FROM alembic_version")


def update(sandbox: Sandbox, inv: Inv, *kinds: str, words: tuple[str, ...] = ()) -> tuple[str, Ended]:
    """Publish releases and hot-update to the last; its commit and how that ended."""
    commit = [stack.release(sandbox.name, kind) for kind in kinds][-1]
    return commit, inv(*words, "hot-update", "--yes")


def assert_cured(sandbox: Sandbox, inv: Inv) -> None:
    commit, ended = update(sandbox, inv, "code")
    assert ended.code == 0, ended.text
    assert f"{sandbox.name} runs {commit[:7]} and is healthy" in ended.out
    assert_runs(sandbox, commit)


def test_the_first_update_makes_the_code_equal_to_the_commit(production: Sandbox, inv: Inv) -> None:
    commit = git(production.origin, "rev-parse", "main")
    ended = inv("hot-update", "--yes")
    assert ended.code == 0, ended.text
    assert "never hot-updated" in ended.out
    assert ended.err == ""
    last = ended.out.splitlines()[-1]
    assert last.startswith(f"{production.name} runs {commit[:7]} and is healthy (sync ")
    assert_runs(production, commit)
    assert git(production.path, "rev-parse", "HEAD") == commit


def test_a_second_update_does_nothing_and_says_so(production: Sandbox, inv: Inv) -> None:
    before = facts(production), processes(production)
    ended = inv("hot-update", "--yes")
    assert (facts(production), processes(production)) == before
    assert (ended.code, ended.text.count("nothing to do"), "Plan" in ended.text) == (0, 1, False)


def test_several_releases_arrive_in_one_update(production: Sandbox, inv: Inv) -> None:
    commit, ended = update(production, inv, "deleted-file", "renamed-file", "migration", "static")
    assert ended.code == 0, ended.text
    assert_runs(production, commit)
    served = git(production.origin, "show", f"{commit}:app/static/release.txt")
    assert answer(production.http_port, "/static/release.txt")[1].strip() == served.strip()
    names = git(production.origin, "ls-tree", "--name-only", f"{commit}:migrations/versions").split()
    assert any(name.startswith(f"{revision(production)}_") for name in names)


def test_broken_code_is_told_with_its_error_and_migrations_can_be_asked_meanwhile(
    production: Sandbox, inv: Inv
) -> None:
    commit, ended = update(production, inv, "broken-import")
    at = revision(production)
    assert ended.code == 1
    first, *evidence, remedy = ended.err.splitlines()
    assert first.startswith(f"✗ restart failed on {production.user}@127.0.0.1:{production.ssh_port}: the app crash-")
    assert "  last error in the logs: ModuleNotFoundError: No module named 'a_module_that_nobody_installed'" in evidence
    assert evidence[-1] == (
        f"  now: clone at {commit[:7]}, container at {commit[:7]}, database at {at}, "
        "health: nginx 502, direct no answer"
    )
    assert remedy == f"→ inv preflight --target {production.name}"
    current = inv("migrate", "--current")
    assert (current.code, current.out.splitlines()) == (0, [f"database  {at}", f"heads     {at}", "pending   none"])


def test_an_ill_release_is_told_with_its_own_error_and_not_with_the_one_before(
    production: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    impatient = tmp_path / "impatient.yaml"
    impatient.write_text("health: {timeout: 3}\n", encoding="utf-8")
    commit, ended = update(production, inv, "unhealthy", words=("-f", str(impatient)))
    assert ended.code == 1
    assert "answered 503" in ended.err.splitlines()[0]
    assert "oracle: the oracle is silent" in ended.err
    assert "ModuleNotFoundError" not in ended.err
    assert f"container at {commit[:7]}" in ended.err
    assert "is healthy" not in ended.out
    assert_cured(production, inv)


def test_a_failing_migration_is_told_with_its_error_and_what_still_runs(production: Sandbox, inv: Inv) -> None:
    at, started = revision(production), processes(production)
    commit, ended = update(production, inv, "failing-migration")
    assert ended.code == 1
    first, *_, now, _ = ended.err.splitlines()
    assert "migrate failed on" in first
    assert first.endswith('(psycopg2.errors.UndefinedColumn) column "no_such_column" does not exist')
    assert f"container at {commit[:7]} (the app server runs what was there before), database at {at}" in now
    assert (revision(production), processes(production)) == (at, started)
    preflight = inv("preflight")
    assert preflight.code == 0
    assert "the app server is older and runs what was there before" in preflight.out
    assert_cured(production, inv)


def test_a_killed_copy_is_told_and_the_next_update_brings_every_file(production: Sandbox, inv: Inv) -> None:
    configuration = execute(production.app, "cat", "/app/gunicorn.conf.py")
    execute(production.app, "rm", "/app/gunicorn.conf.py")
    assert "gunicorn.conf.py" in inv("health").out
    execute(production.app, "rm", RECORD, user="root")
    watch = ["docker", "exec", "-u", "0", production.app, "/app/.venv/bin/python", "-c", KILL, RECORD]
    with subprocess.Popen(watch, stdout=subprocess.PIPE) as killer:
        assert killer.stdout is not None
        killer.stdout.readline()
        ended = inv("copy")
        assert killer.wait() == 0
    assert ended.code == 1, ended.text
    assert "copy failed" in ended.err
    assert "was not finished" in inv("preflight").out
    ended = inv("hot-update", "--yes")
    assert ended.code == 0, ended.text
    assert "the last copy was not finished" in ended.out
    assert "made: gunicorn.conf.py from nginx/gunicorn/gunicorn-prod.conf.py" in ended.out
    assert execute(production.app, "cat", "/app/gunicorn.conf.py") == configuration
    assert_runs(production, git(production.origin, "rev-parse", "main"))


def test_unsuitable_changes_that_were_allowed_do_not_refuse_later_updates_but_stay_a_warning(
    production: Sandbox, inv: Inv
) -> None:
    kinds = ("dependency", "compose", "supervisor")
    files = ("requirements.txt", "uv.lock", "docker-compose.prod.yml", "nginx/supervisor/whalefall-prod.conf")
    before = facts(production), processes(production)
    _, refused = update(production, inv, *kinds)
    assert (refused.code, [file for file in files if file not in refused.out]) == (3, [])
    assert (facts(production), processes(production)) == before
    assert inv("hot-update", "--yes", "--allow-unsuitable").code == 0
    assert_cured(production, inv)
    assert "the image still lacks earlier changes of " in inv("preflight").out


def test_without_a_terminal_it_acts_only_when_told_to(production: Sandbox, inv: Inv) -> None:
    stack.release(production.name, "code")
    before = facts(production), processes(production)
    ended = inv("hot-update")
    assert (ended.code, "give --yes" in ended.err) == (2, True)
    dry = inv("hot-update", "--dry-run")
    assert dry.code == 0
    assert f"Plan: hot-update to {git(production.origin, 'rev-parse', 'main')[:7]}" in dry.out
    stack.release(production.name, "two-heads")
    refused = inv("hot-update", "--dry-run")
    assert (refused.code, "migrations has 2 heads" in refused.out, "Plan" in refused.out) == (3, True, False)
    assert (facts(production), processes(production)) == before


def test_a_target_that_is_not_there_is_a_usage_error_that_names_those_that_are() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "invoke", "hot-update", "--target", "nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, "nowhere" in ended.stderr, "prod" in ended.stderr) == (2, True, True)


def test_none_of_it_touched_anything_else(production: Sandbox, bystander: str, before: dict[str, str]) -> None:
    assert untouchable(production, bystander) == before


def test_none_of_it_told_a_secret(production: Sandbox, told: list[str]) -> None:
    lines = production.env_file.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line]
    values = [value.strip("'\"") for key, value in pairs if any(word in key for word in SECRET_WORDS)]
    state = production.path / ".git/hot-update"
    kept = [file.read_bytes().decode(errors="replace") for file in state.rglob("*") if file.is_file()]
    assert len([value for value in values if len(value) >= 8]) >= 5
    assert any((state / "runs").iterdir())
    assert [key for key, value in pairs if value.strip("'\"") in values and shows([*told, *kept], value)] == []


def shows(texts: list[str], value: str) -> bool:
    plain = value.strip("'\"")
    return len(plain) >= 8 and any(plain in text for text in texts)
