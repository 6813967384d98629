"""Every kind of release, as a hot update brings it to a real production, one after the other."""

import hashlib
import json
from pathlib import Path

import pytest

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer, in_app, psql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Inv, run_inv
from tests.sandbox.facts import WIDE, facts

pytestmark = pytest.mark.stack

# What no update may change: the environment, the customers' files (logs and the scheduler's lock change by themselves).
PROTECTED = (
    "find /app/.venv /app/userdata -path /app/userdata/logs -prune -o -type f ! -name '*.pyc' ! -name scheduler.lock "
    "-print0 | sort -z | xargs -0 sha256sum | sha256sum"
)
# Path, mode and bytes of every file in /app that is not protected, made for it or bytecode.
TREE = """
import hashlib, json, os
found = {}
for folder, folders, files in os.walk("/app"):
    kept = {"/app/.venv", "/app/userdata"}
    folders[:] = [f for f in folders if os.path.join(folder, f) not in kept and f != "__pycache__"]
    for name in files + [f for f in folders if os.path.islink(os.path.join(folder, f))]:
        path = os.path.join(folder, name)
        data = os.readlink(path).encode() if os.path.islink(path) else open(path, "rb").read()
        mode = "120000" if os.path.islink(path) else "100755" if os.stat(path).st_mode & 0o100 else "100644"
        found[os.path.relpath(path, "/app")] = [mode, hashlib.sha1(b"blob %d\\0" % len(data) + data).hexdigest()]
print(json.dumps(found))
"""


def in_container(sandbox: Sandbox) -> dict[str, list[str]]:
    tree: dict[str, list[str]] = json.loads(run("docker", "exec", sandbox.app, "/app/.venv/bin/python", "-c", TREE))
    return {name: entry for name, entry in tree.items() if name not in (".env", "gunicorn.conf.py")}


def in_commit(sandbox: Sandbox, commit: str) -> dict[str, list[str]]:
    entries = git(sandbox.origin, "ls-tree", "-r", "-z", commit).split("\0")
    rows = [entry.split("\t", 1) for entry in entries if entry]
    return {name: [about.split()[0], about.split()[2]] for about, name in rows}


def untouched(sandbox: Sandbox) -> tuple[str, ...]:
    """What an update must leave alone: protected files, .env, and every other container on the engine."""
    others = run("docker", "ps", "--format", "{{.ID}} {{.Names}} {{.CreatedAt}}").splitlines()
    mine = [line for line in others if sandbox.name in line and sandbox.app not in line]
    return (in_app(sandbox, "sh", "-c", PROTECTED), hashlib.sha256(sandbox.env_file.read_bytes()).hexdigest(), *mine)


def publish(sandbox: Sandbox, inv: Inv, kind: str, *words: str) -> tuple[str, int, str]:
    """Publish a release and update to it; its commit, the exit code and what was said."""
    commit = stack.release(sandbox.name, kind)
    ended = inv("hot-update", "--yes", *words, environment=WIDE)
    return commit, ended.code, ended.text


@pytest.mark.parametrize("kind", ["code", "deleted-file", "renamed-file", "static", "migration", "slow-boot"])
def test_a_suitable_release_is_brought_to_production_file_by_file(sandbox: Sandbox, inv: Inv, kind: str) -> None:
    before = untouched(sandbox)
    run("docker", "exec", sandbox.app, "sh", "-c", "echo mine > '/app/made by hand.txt'")
    commit, code, text = publish(sandbox, inv, kind)
    assert (code, text.splitlines()[-1].split(" (")[0]) == (0, f"{sandbox.name} runs {commit[:7]} and is healthy")
    found = in_container(sandbox)
    assert found.pop("made by hand.txt")
    assert found == in_commit(sandbox, commit)
    assert untouched(sandbox) == before
    run("docker", "exec", sandbox.app, "rm", "/app/made by hand.txt")


def test_a_second_update_changes_nothing_and_restarts_nothing(sandbox: Sandbox, inv: Inv) -> None:
    publish(sandbox, inv, "code")
    before = facts(sandbox)
    ended = inv("hot-update", "--yes", environment=WIDE)
    assert ended.code == 0
    assert ended.out.startswith(f"hot-update of {sandbox.name}: nothing to do")
    assert facts(sandbox) == before


def test_a_migration_takes_the_database_to_the_releases_head(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "migration")
    inv("sync", environment=WIDE)
    inv("copy", environment=WIDE)
    pending = inv("migrate", "--current", environment=WIDE).out
    assert "pending   none" not in pending
    sql = inv("migrate", "--sql", environment=WIDE)
    assert "UPDATE alembic_version" in sql.out
    assert inv("migrate", environment=WIDE).code == 0
    assert "pending   none" in inv("migrate", "--current", environment=WIDE).out
    head = psql(sandbox, "select version_num from alembic_version").strip()
    assert f"{head} " in inv("migrate", "--history", environment=WIDE).out.splitlines()[0]


def test_a_dry_run_shows_the_plan_and_changes_nothing(sandbox: Sandbox, inv: Inv) -> None:
    commit = stack.release(sandbox.name, "migration")
    before = facts(sandbox)
    ended = inv("hot-update", "--dry-run", environment=WIDE)
    assert ended.code == 0
    assert f"Plan: hot-update to {commit[:7]}" in ended.out
    assert "flask db upgrade to" in ended.out
    assert facts(sandbox) == before
    assert inv("hot-update", "--yes").code == 0


def test_code_that_does_not_import_is_told_with_its_error_and_cured_by_the_next_release(
    sandbox: Sandbox, inv: Inv
) -> None:
    _, code, text = publish(sandbox, inv, "broken-import")
    assert code == 1
    assert "✗ restart failed on" in text
    assert "the app crash-loops: gunicorn was started 3 times and never answered" in text
    assert "ModuleNotFoundError" in text or "ImportError" in text
    assert "now: clone at" in text
    _, code, text = publish(sandbox, inv, "code")
    assert code == 0, text


def test_a_migration_that_fails_leaves_the_database_where_it_was(sandbox: Sandbox, inv: Inv) -> None:
    before = psql(sandbox, "select version_num from alembic_version")
    _, code, text = publish(sandbox, inv, "failing-migration")
    assert code == 1
    assert "✗ migrate failed on" in text
    assert psql(sandbox, "select version_num from alembic_version") == before
    assert answer(sandbox.app_port, "/api/v1/health")[0] == 200
    _, code, text = publish(sandbox, inv, "code")
    assert code == 0, text


def test_two_heads_are_refused_before_anything_changes(sandbox: Sandbox, inv: Inv) -> None:
    before = facts(sandbox)
    _, code, text = publish(sandbox, inv, "two-heads")
    assert code == 3
    assert "migrations has 2 heads" in text
    assert facts(sandbox) == before
    publish(sandbox, inv, "code")


def test_an_unhealthy_release_is_never_called_done(sandbox: Sandbox, inv: Inv, tmp_path: Path) -> None:
    quick = tmp_path / "quick.yaml"
    quick.write_text("health: {timeout: 3}\n")
    stack.release(sandbox.name, "unhealthy")
    ended = inv("-f", str(quick), "hot-update", "--yes", environment=WIDE)
    assert ended.code == 1
    assert "answered 503" in ended.err
    assert inv("health", environment=WIDE).code == 1
    _, code, text = publish(sandbox, inv, "code")
    assert code == 0, text


@pytest.mark.parametrize(
    ("kind", "file"),
    [("dependency", "pyproject.toml"), ("compose", "docker-compose.prod.yml"), ("supervisor", "whalefall-prod.conf")],
)
def test_what_needs_a_new_image_is_refused_unless_allowed_and_stays_a_warning(
    sandbox: Sandbox, inv: Inv, kind: str, file: str
) -> None:
    before = facts(sandbox)
    _, code, text = publish(sandbox, inv, kind)
    assert code == 3
    assert "not suitable for a hot update" in text
    assert file in text
    assert facts(sandbox) == before
    assert inv("hot-update", "--yes", "--allow-unsuitable", environment=WIDE).code == 0
    assert "the image still lacks earlier changes" in inv("preflight", environment=WIDE).out


def test_health_answers_for_machines(sandbox: Sandbox, inv: Inv) -> None:
    publish(sandbox, inv, "code")
    told = json.loads(inv("health", "--json").out)
    assert sorted(told) == ["checks", "drift", "healthy", "revision", "schema", "target"]
    assert (told["healthy"], told["drift"]) == (True, None)
    assert told["revision"] == git(sandbox.origin, "rev-parse", "main")
    assert [check["status"] for check in told["checks"]] == [200, 200]


def test_a_file_changed_by_hand_is_drift_and_is_put_right_and_saved(sandbox: Sandbox, inv: Inv) -> None:
    publish(sandbox, inv, "code")
    run("docker", "exec", sandbox.app, "sh", "-c", "echo '# by hand' >> /app/wsgi.py")
    assert "wsgi.py" in json.loads(inv("health", "--json").out)["drift"]
    ended = inv("copy", environment=WIDE)
    assert ended.code == 0
    assert "saved: wsgi.py" in ended.out
    assert "wsgi.py" not in json.loads(inv("health", "--json").out)["drift"]
    (saved,) = (
        line.split("saved on the host: ")[1].split(" (")[0]
        for line in ended.out.splitlines()
        if "saved on the host" in line
    )
    assert "wsgi.py" in run("tar", "-tf", saved)


def test_gunicorns_settings_are_made_when_missing_and_kept_when_changed_by_hand(sandbox: Sandbox, inv: Inv) -> None:
    run("docker", "exec", sandbox.app, "rm", "/app/gunicorn.conf.py")
    assert publish(sandbox, inv, "code")[1] == 0
    source = run("docker", "exec", sandbox.app, "cat", "/app/nginx/gunicorn/gunicorn-prod.conf.py")
    assert run("docker", "exec", sandbox.app, "cat", "/app/gunicorn.conf.py") == source
    run("docker", "exec", sandbox.app, "sh", "-c", "echo '# by hand' >> /app/gunicorn.conf.py")
    _, code, text = publish(sandbox, inv, "code")
    assert code == 0
    assert "kept: gunicorn.conf.py" in text
    assert run("docker", "exec", sandbox.app, "tail", "-1", "/app/gunicorn.conf.py") == "# by hand\n"
    run("docker", "exec", sandbox.app, "cp", "/app/nginx/gunicorn/gunicorn-prod.conf.py", "/app/gunicorn.conf.py")


def test_each_verb_alone_does_its_part(sandbox: Sandbox, inv: Inv) -> None:
    assert "files removed" in inv("clean", environment=WIDE).out
    assert "the app answers" in inv("restart", environment=WIDE).out
    assert "run " in inv("attach", environment=WIDE).out
    assert inv("migrate", "--stamp", "beef", environment=WIDE).code == 3
    assert run_inv("nowhere", "health").code == 2


def test_no_secret_is_shown_or_journaled(sandbox: Sandbox, inv: Inv) -> None:
    secrets = [
        line.split("=", 1)[1].strip("'\"")
        for line in sandbox.env_file.read_text().splitlines()
        if any(word in line.split("=")[0] for word in ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL"))
    ]
    shown = inv("preflight", environment=WIDE).text + inv("restart", environment=WIDE).text
    journals = [
        path.read_text(errors="replace") for path in (sandbox.path / ".git/hot-update").rglob("*") if path.is_file()
    ]
    assert secrets
    assert [
        secret for secret in secrets if len(secret) >= 8 and any(secret in text for text in (shown, *journals))
    ] == []
