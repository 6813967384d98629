"""Hot updates of a real production: every kind of release with its outcome, and what none of them may touch.

Nothing is mended between these tests: what a bad release breaks the next one cures.
"""

import hashlib
import io
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path

import pytest

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer, execute
from deploy.sandbox.databases import sql
from deploy.sandbox.git import commit as committed
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.origin import DEPLOYED
from tests.sandbox.conftest import Ended, Inv, run_inv
from tests.sandbox.facts import RECORD, facts

pytestmark = pytest.mark.stack

SUITABLE = ("code", "deleted-file", "renamed-file", "migration", "static", "slow-boot")
# What needs a new image, and the files that it changes.
UNSUITABLE = {
    "dependency": ("pyproject.toml", "requirements.txt", "uv.lock"),
    "compose": ("docker-compose.prod.yml",),
}
# A file in /app that git never knew.
UNKNOWN = "docs/客户 notes 'of' $production.txt"
# In /app, but not of the code: the environment, the customers' files, the secrets, what is made from a tracked file.
BESIDE = ("./.venv", "./userdata", "./.env", "./gunicorn.conf.py", "__pycache__")
GUNICORN, GUNICORN_SOURCE = "/app/gunicorn.conf.py", "/app/nginx/gunicorn/gunicorn-prod.conf.py"
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
        if b"bring" in command:
            os.kill(int(place[6:]), 9)
            sys.exit()
sys.exit("there was no copy to kill")
"""


@pytest.fixture(scope="module")
def production(shared: Sandbox) -> Iterator[Sandbox]:
    """The shared production with a file that git does not know; in the end at a good release that its image suits."""
    suitable = git(shared.origin, "rev-parse", "main")
    execute(shared.app, "sh", "-c", 'echo kept >"$1"', "sh", f"/app/{UNKNOWN}")
    yield shared
    execute(shared.app, "rm", f"/app/{UNKNOWN}")
    publish(shared, "code")
    git(shared.developer, "checkout", suitable, "--", *chain.from_iterable(UNSUITABLE.values()))
    git(shared.developer, "commit", "--quiet", "--allow-empty", "--message", "Suit the image again")
    git(shared.developer, "push", "--quiet", "origin", "main")
    ended = run_inv(shared.name, "hot-update", "--yes", "--allow-unsuitable")
    assert ended.code == 0, ended.text


@pytest.fixture(scope="module")
def bystander(docker: None) -> Iterator[str]:
    """A container of somebody else."""
    name = f"bystander-{os.getpid()}"
    run("docker", "run", "--detach", "--name", name, "debian:bookworm-slim", "sleep", "infinity")
    yield name
    run("docker", "rm", "--force", name)


@pytest.fixture(scope="module", autouse=True)
def before(production: Sandbox, bystander: str) -> dict[str, str]:
    return untouchable(production, bystander)


@pytest.fixture(scope="module")
def told() -> list[str]:
    """Everything that the verbs said in this module."""
    return []


@pytest.fixture
def inv(production: Sandbox, told: list[str]) -> Inv:
    """Run a verb on this module's production and remember what it said."""

    def remembered(*words: str) -> Ended:
        ended = run_inv(production.name, *words)
        told.append(ended.text)
        return ended

    return remembered


def publish(sandbox: Sandbox, *kinds: str) -> str:
    """Publish releases, one after the other; return the commit of the last."""
    return [stack.release(sandbox.name, kind) for kind in kinds][-1]


def revision(sandbox: Sandbox) -> str:
    return sql(sandbox, "SELECT version_num FROM alembic_version")


def newest_migration(sandbox: Sandbox, commit: str) -> str:
    """The newest of a commit's migrations: their files begin with their revisions, which are dates."""
    return max(git(sandbox.origin, "ls-tree", "--name-only", f"{commit}:migrations/versions").split()).split("_")[0]


def processes(sandbox: Sandbox) -> list[str]:
    """The app server's processes: pid, start time and command."""
    running = run("docker", "top", sandbox.app, "-eo", "pid,lstart,args").splitlines()
    return [line for line in running if "gunicorn" in line]


def container_started(sandbox: Sandbox) -> float:
    """No process of the app is older, in seconds since the epoch."""
    return datetime.fromisoformat(facts(sandbox).started).timestamp()


def untouchable(sandbox: Sandbox, bystander: str) -> dict[str, str]:
    """What no update may change, by name; logs and the scheduler's lock change by themselves."""
    options = ("--sort=name", "--exclude=userdata/logs", "--exclude=userdata/scheduler.lock", "--exclude=__pycache__")
    checksum = ("sh", "-c", 'tar -C /app -cf - "$@" | sha256sum', "sh", *options)
    secrets, about = sandbox.env_file.read_bytes(), sandbox.env_file.stat()
    container = ("docker", "inspect", "--format", "{{.Id}} {{.Image}} {{.State.StartedAt}}")
    return {
        ".env": f"{hashlib.sha256(secrets).hexdigest()} {about.st_mode:o} {about.st_uid} {about.st_mtime_ns}",
        **{name: execute(sandbox.app, *checksum, name, user="root") for name in (".venv", "userdata", UNKNOWN)},
        **{name: run(*container, name) for name in (sandbox.database, sandbox.redis, bystander)},
    }


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


def test_a_copy_that_was_killed_is_undone_and_the_next_update_brings_every_file(production: Sandbox, inv: Inv) -> None:
    execute(production.app, "rm", "--force", RECORD, user="root")
    before = facts(production), in_container(production)
    watch = ["docker", "exec", "-u", "0", production.app, "/app/.venv/bin/python", "-c", KILL, RECORD]
    with subprocess.Popen(watch, stdout=subprocess.PIPE) as killer:
        assert killer.stdout is not None
        killer.stdout.readline()
        killed = inv("copy")
        assert killer.wait() == 0
    assert killed.code == 5, killed.text
    assert "✗ copy failed on" in killed.err
    assert f"undone: {production.name} is as healthy as before" in killed.err
    assert (replace(facts(production), started=before[0].started), in_container(production)) == before
    ended = inv("hot-update", "--yes")
    assert ended.code == 0, ended.text
    assert "copy (what runs is unknown)" in ended.out
    assert_runs(production, git(production.origin, "rev-parse", "main"))


def test_without_a_terminal_it_acts_only_when_told_to(production: Sandbox, inv: Inv) -> None:
    publish(production, "code")
    before = facts(production)
    ended = inv("hot-update")
    assert (ended.code, ended.err) == (2, "✗ nobody can be asked here\n→ give --yes to act without asking\n")
    assert facts(production) == before


def test_a_dry_run_prints_the_plan_and_changes_nothing(production: Sandbox, inv: Inv) -> None:
    commit = publish(production, "migration")
    before = facts(production), revision(production), processes(production)
    ended = inv("hot-update", "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    plan = ended.out.split(f"Plan: hot-update to {commit[:7]}\n")[1].splitlines()
    steps = [line.split(" (")[0] for line in plan if not line.startswith(" ")]
    assert [step.split()[1] for step in steps] == ["proof", "backup", "sync", "migrate", "copy", "clean", "restart"]
    assert f"     flask db upgrade to {newest_migration(production, commit)}" in plan
    assert (facts(production), revision(production), processes(production)) == before


@pytest.mark.does("update")
def test_suitable_releases_of_every_kind_arrive_in_one_update(production: Sandbox, inv: Inv) -> None:
    commit = publish(production, *SUITABLE)
    ended = inv("hot-update", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert f"\n{production.name} runs {commit[:7]} and is healthy (proof " in ended.out
    assert_runs(production, commit)
    assert git(production.path, "rev-parse", "HEAD") == commit
    assert revision(production) == newest_migration(production, commit)
    number = git(production.origin, "rev-list", "--count", commit)
    assert f"release {number}" in answer(production.http_port, "/")[1]
    assert answer(production.http_port, "/static/release.txt") == (200, f"release {number}\n")


def test_a_dry_run_tells_what_changes_and_what_a_migration_does_to_others(production: Sandbox, inv: Inv) -> None:
    assert inv("hot-update", "--yes").code == 0
    deleted = publish(production, "deleted-file")
    commit = risky_migration(production)
    ended = inv("hot-update", "--dry-run", "--commands")
    assert (ended.code, ended.err) == (0, "")
    told, plan = ended.out.split(f"Plan: hot-update to {commit[:7]}\n")
    assert re.search(rf"^     {deleted[:7]}  Release \d+: deleted-file  \(\d+ seconds?\)$", told, re.M)
    assert re.search(r"^(1 file is|\d+ files are) deleted\n(     .+\n)*     app/legacy/report_\d+\.py\n", told, re.M)
    assert re.search(r"^     A    \+15     -0  migrations/versions/\d+_note_\d+\.py$", told, re.M)
    risk = "index-blocks-writes: builds an index on instances without CONCURRENTLY: writes wait until it is built"
    title, found = told.splitlines()[-2:]
    assert title.startswith(f"migration {newest_migration(production, commit)} Release ")
    assert found == f"     ! line 10, {risk}"
    assert f"\nrevision={commit}\n" in plan.split("The script of sync:\n")[1]


def risky_migration(sandbox: Sandbox) -> str:
    """Publish a migration that also builds an index."""
    name = git(sandbox.origin, "show", "--name-only", "--diff-filter=A", "--format=", publish(sandbox, "migration"))
    file = sandbox.developer / name
    source = file.read_text(encoding="utf-8")
    index = f'    op.create_index("ix_{file.stem}", "instances", ["id"])\n'
    file.write_text(source.replace("def upgrade():\n", f"def upgrade():\n{index}"), encoding="utf-8")
    made = committed(sandbox.developer, "Build an index")
    git(sandbox.developer, "push", "--quiet", "origin", "main")
    return made


def test_new_settings_of_gunicorn_are_read_by_its_master_and_a_new_worker_holds_the_schedulers_lock(
    production: Sandbox, inv: Inv
) -> None:
    commit, began = publish(production, "gunicorn"), container_started(production)
    ended = inv("hot-update", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert "refreshed: gunicorn.conf.py from nginx/gunicorn/gunicorn-prod.conf.py" in ended.out
    assert "whalefall: has to read its settings again, since gunicorn.conf.py changes" in ended.out
    assert "scheduler.lock: held by a new worker" in ended.out
    assert f"\n{production.name} runs {commit[:7]} and is healthy (proof " in ended.out
    assert_runs(production, commit)
    assert container_started(production) == began


def test_a_second_update_changes_nothing_restarts_nothing_and_says_so(production: Sandbox, inv: Inv) -> None:
    before = facts(production), processes(production)
    ended = inv("hot-update", "--yes")
    assert (ended.code, ended.err) == (0, "")
    assert (ended.out.count("nothing to do"), ended.out.count("\n")) == (1, 1)
    assert (facts(production), processes(production)) == before


def test_what_was_changed_by_hand_is_shown_saved_and_put_right_but_gunicorns_settings_are_kept(
    production: Sandbox, inv: Inv
) -> None:
    execute(production.app, "sh", "-c", f"echo '# by hand' | tee -a /app/wsgi.py >>{GUNICORN}")
    for verb in ("health", "preflight"):
        assert "changed by hand: wsgi.py" in inv(verb).out
    ended = inv("copy")
    assert ended.code == 0, ended.text
    assert "saved: wsgi.py (git does not know its content)" in ended.out
    assert "kept: gunicorn.conf.py was changed by hand" in ended.out
    assert_runs(production, git(production.origin, "rev-parse", "main"))
    saved = ended.out.split("saved on the host: ")[1].split(" (look into it")[0]
    assert run("tar", "-xOf", saved, "wsgi.py").endswith("# by hand\n")
    assert execute(production.app, "cat", GUNICORN).endswith("# by hand\n")


def test_gunicorns_settings_are_made_when_they_are_missing(production: Sandbox, inv: Inv) -> None:
    execute(production.app, "rm", GUNICORN)
    assert "changed by hand: gunicorn.conf.py" in inv("health").out
    ended = inv("copy")
    assert ended.code == 0, ended.text
    assert "made: gunicorn.conf.py from nginx/gunicorn/gunicorn-prod.conf.py" in ended.out
    assert execute(production.app, "cat", GUNICORN) == execute(production.app, "cat", GUNICORN_SOURCE)


@pytest.mark.parametrize("words", ["--dry-run", "--yes"])
def test_two_heads_of_the_migrations_are_refused_before_anything_changes(
    production: Sandbox, inv: Inv, words: str
) -> None:
    publish(production, "two-heads")
    before = facts(production), revision(production)
    refused = inv("hot-update", words)
    assert (refused.code, "Plan" in refused.out) == (3, False)
    assert "migrations has 2 heads" in refused.out
    assert refused.err.startswith("✗ refused, nothing was changed: migrations\n")
    assert (facts(production), revision(production)) == before


def test_a_migration_that_fails_is_told_with_its_error_and_the_update_undone(production: Sandbox, inv: Inv) -> None:
    before = facts(production), revision(production), processes(production)
    publish(production, "failing-migration")
    ended = inv("hot-update", "--yes")
    assert ended.code == 5, ended.text
    first, *_, undone, now, _ = ended.err.splitlines()
    assert first.startswith(f"✗ migrate failed on {production.user}@127.0.0.1:{production.ssh_port}: ")
    assert first.endswith('(psycopg2.errors.UndefinedColumn) column "no_such_column" does not exist')
    assert undone == f"  undone: {production.name} is as healthy as before"
    head = before[0].head[:7]
    assert now.startswith(f"  now: clone at {head}, container at {head}")
    assert f", database at {before[1]}, health: nginx 200, direct 200" in now
    assert (facts(production), revision(production), processes(production)) == before


def test_code_that_does_not_boot_is_told_with_its_error_before_anything_changes(production: Sandbox, inv: Inv) -> None:
    before = facts(production), revision(production), processes(production)
    publish(production, "broken-import")
    ended = inv("hot-update", "--yes")
    assert ended.code == 3, ended.text
    first, *_, unchanged, _, remedy = ended.err.splitlines()
    assert first == (
        f"✗ proof failed on {production.user}@127.0.0.1:{production.ssh_port}: "
        "ModuleNotFoundError: No module named 'a_module_that_nobody_installed'"
    )
    assert unchanged == "  nothing was changed"
    assert remedy.startswith("→ a_module_that_nobody_installed is not installed in the image")
    assert (facts(production), revision(production), processes(production)) == before


def test_an_unhealthy_release_is_told_with_its_own_error_and_undone(
    production: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    impatient = tmp_path / "impatient.yaml"
    impatient.write_text("health: {timeout: 3}\n", encoding="utf-8")
    before = facts(production), in_container(production)
    publish(production, "unhealthy")
    ended = inv("-f", str(impatient), "hot-update", "--yes")
    assert ended.code == 5, ended.text
    assert "answered 503" in ended.err.splitlines()[0]
    assert "oracle: the oracle is silent" in ended.err
    assert "ModuleNotFoundError" not in ended.err
    assert f"undone: {production.name} is as healthy as before" in ended.err
    assert "runs" not in ended.out.splitlines()[-1]
    assert ", not proven good  " in inv("history").out.splitlines()[0]
    assert (replace(facts(production), started=before[0].started), in_container(production)) == before
    assert inv("health").code == 0


def test_new_settings_of_gunicorn_are_undone_in_its_master_too(production: Sandbox, inv: Inv, tmp_path: Path) -> None:
    impatient = tmp_path / "impatient.yaml"
    impatient.write_text("health: {timeout: 3}\n", encoding="utf-8")
    before, began = execute(production.app, "cat", GUNICORN), container_started(production)
    publish(production, "gunicorn", "unhealthy")
    ended = inv("-f", str(impatient), "hot-update", "--yes")
    assert ended.code == 5, ended.text
    assert "refreshed: gunicorn.conf.py" in ended.out
    assert ended.out.count("scheduler.lock: held by a new worker") == 2
    assert (execute(production.app, "cat", GUNICORN), container_started(production)) == (before, began)


@pytest.mark.parametrize("kind", UNSUITABLE)
def test_what_needs_a_new_image_is_refused_and_its_files_are_named(production: Sandbox, inv: Inv, kind: str) -> None:
    publish(production, kind)
    before = facts(production)
    refused = inv("hot-update", "--yes")
    assert (refused.code, "not suitable for a hot update: " in refused.out) == (3, True)
    assert [file for file in UNSUITABLE[kind] if file not in refused.out] == []
    assert facts(production) == before


@pytest.mark.does("rebuild_later")
def test_what_needs_a_new_image_and_was_allowed_is_brought_once_and_stays_a_warning(
    production: Sandbox, inv: Inv
) -> None:
    commit = publish(production, *UNSUITABLE)
    allowed = inv("hot-update", "--yes", "--allow-unsuitable")
    assert allowed.code == 0, allowed.text
    assert_runs(production, commit)
    before = facts(production)
    again = inv("hot-update", "--yes")
    assert again.code == 0, again.text
    assert "nothing to do" in again.out
    (warning,) = [line for line in again.out.splitlines() if "the image still lacks earlier changes of " in line]
    assert [file for files in UNSUITABLE.values() for file in files if file not in warning] == []
    assert facts(production) == before


def test_what_was_allowed_and_is_taken_back_is_suitable_again(production: Sandbox, inv: Inv) -> None:
    files = [file for files in UNSUITABLE.values() for file in files]
    git(production.developer, "checkout", "--quiet", git(production.origin, "rev-parse", DEPLOYED), "--", *files)
    commit = committed(production.developer, "Take back what the image lacks")
    git(production.developer, "push", "--quiet", "origin", "main")
    updated = inv("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert_runs(production, commit)
    assert "the image still lacks" not in inv("preflight").out


def test_none_of_it_touched_anything_else(production: Sandbox, bystander: str, before: dict[str, str]) -> None:
    assert untouchable(production, bystander) == before


def test_none_of_it_told_or_journaled_a_secret(production: Sandbox, told: list[str]) -> None:
    lines = production.env_file.read_text(encoding="utf-8").splitlines()
    values = {key: value.strip("'\"") for key, _, value in (line.partition("=") for line in lines)}
    words = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")
    secrets = {key: value for key, value in values.items() if len(value) >= 8 and any(word in key for word in words)}
    state = production.path / ".git/hot-update"
    kept = [file.read_bytes().decode(errors="replace") for file in state.rglob("*") if file.is_file()]
    assert len(secrets) >= 5
    assert told
    assert any((state / "runs").iterdir())
    assert [key for key, value in secrets.items() if any(value in text for text in (*told, *kept))] == []
