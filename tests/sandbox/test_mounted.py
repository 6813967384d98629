"""The sandbox whose code is mounted from the clone, read-only, and whose container migrates MariaDB as it starts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import Exit, Failure
from deploy.sandbox import compose, stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer
from deploy.sandbox.databases import sql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.bench.client import asking
from tests.sandbox.adopting import works
from tests.sandbox.conftest import Inv, SettingsFile
from tests.texts import as_text

pytestmark = pytest.mark.stack

WELL = {"status": "ok", "database": "ok", "redis": "ok"}
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() ORDER BY 1"
AT = "SELECT version_num FROM alembic_version"
HALF = "half_done"
# Among so many requests every worker has some.
ENOUGH = 12


def health(sandbox: Sandbox) -> Any:
    return json.loads(answer(sandbox.http_port, "/health")[1] or "{}")


def releases_served(sandbox: Sandbox) -> set[int]:
    pages = [answer(sandbox.http_port, "/")[1] for _ in range(ENOUGH)]
    return {int(number) for page in pages for number in re.findall(r"<p>release (\d+)</p>", page)}


def number_of(sandbox: Sandbox, commit: str) -> int:
    return int(git(sandbox.origin, "rev-list", "--count", commit))


def known(sandbox: Sandbox) -> dict[str, object]:
    """What an undo has to bring back: what serves, the clone, the schema, what customers have."""
    return {
        "served": releases_served(sandbox),
        "head": git(sandbox.path, "rev-parse", "HEAD"),
        "revision": sql(sandbox, AT),
        "tables": sql(sandbox, TABLES),
        "columns": sql(sandbox, "SHOW COLUMNS FROM instances"),
        "rows": sql(sandbox, "SELECT count(*), max(name) FROM instances"),
    }


def failed(requests: list[Any]) -> tuple[bool, list[Any]]:
    """Whether there were requests, and those that failed."""
    return bool(requests), [request for request in requests if not request.good]


def test_gunicorn_is_the_first_process_and_cannot_write_to_its_code(mounted: Sandbox) -> None:
    shown = run("docker", "top", mounted.app, "-o", "pid,euid,args").splitlines()[1:]
    assert len(shown) == 3
    assert all("gunicorn --config gunicorn.conf.py wsgi:application" in line for line in shown)
    assert "0" not in {line.split()[1] for line in shown}
    written = compose.execute(mounted.app, "sh", "-c", "touch /opt/board/x 2>&1 || true", user="root")
    assert "Read-only file system" in written
    assert stack.status(mounted.name).services == dict.fromkeys(("board", "db", "cache"), "running")
    assert health(mounted) == WELL
    assert "MariaDB" in sql(mounted, "SELECT version()")


@pytest.mark.deep
def test_what_init_writes_does_unedited(bare: Inv, mounted: Sandbox, tmp_path: Path) -> None:
    stack.release(mounted.name, "migration")
    works(bare, mounted, tmp_path)
    file = (tmp_path / "invoke.yaml").read_text(encoding="utf-8")
    for line in ("  kind: mysql", "  service: cache", "docker-entrypoint.sh", "  database: restore"):
        assert line in file
    before = known(mounted)
    stack.release(mounted.name, "code")
    for verb in ("hot-update", "rollback"):
        ended = bare(verb, "--yes")
        assert ended.code == 0, ended.text
    assert known(mounted) == before


@pytest.mark.parametrize("kind", ["code", "migration"])
def test_an_update_moves_the_clone_alone_while_no_request_fails(mounted: Sandbox, inv_mounted: Inv, kind: str) -> None:
    commit = stack.release(mounted.name, kind)
    started = run("docker", "inspect", "--format", "{{.State.StartedAt}}", mounted.app)
    with asking({"board": f"{mounted.http_port}/health"}, 20) as requests:
        updated = inv_mounted("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert "    0 files written (0 KiB), 0 removed, " in updated.out
    assert failed(requests) == (True, [])
    assert releases_served(mounted) == {number_of(mounted, commit)}
    assert "(head)" in compose.in_app(mounted, mounted.shape.flask, "db", "current")
    assert run("docker", "inspect", "--format", "{{.State.StartedAt}}", mounted.app) == started


def test_a_release_that_does_not_boot_never_reaches_the_clone(mounted: Sandbox, inv_mounted: Inv) -> None:
    before = known(mounted)
    stack.release(mounted.name, "broken-import")
    updated = inv_mounted("hot-update", "--yes")
    assert (updated.code != 0, "a_module_that_nobody_installed" in updated.text) == (True, True), updated.text
    assert (known(mounted), health(mounted)) == (before, WELL)


def test_what_a_migration_that_failed_has_left_is_told_and_a_restore_takes_it_away(
    mounted: Sandbox, inv_mounted: Inv, given: SettingsFile
) -> None:
    before = known(mounted)
    stack.release(mounted.name, "half-migration")
    updated = inv_mounted(*given("undo: {database: keep}"), "hot-update", "--yes")
    assert updated.code == Exit.UNDONE, updated.text
    assert f"the database is at {before['revision']}, as before, but its schema is not:" in updated.out
    assert f"the schema is not as before: table {HALF} came" in updated.err
    assert HALF in sql(mounted, TABLES)
    restored = inv_mounted("restore", "--yes")
    assert restored.code == 0, restored.text
    assert (known(mounted), health(mounted)) == (before, WELL)


@pytest.mark.deep
def test_a_migration_that_fails_halfway_is_undone_by_its_dump(mounted: Sandbox, inv_mounted: Inv) -> None:
    before = known(mounted)
    stack.release(mounted.name, "half-migration")
    updated = inv_mounted("hot-update", "--yes")
    assert updated.code == Exit.UNDONE, updated.text
    assert "no_such_column" in updated.err
    assert (known(mounted), health(mounted)) == (before, WELL)


def test_an_ill_release_is_undone_with_its_migration_so_that_the_container_starts_again(
    mounted: Sandbox, inv_mounted: Inv, given: SettingsFile
) -> None:
    before = known(mounted)
    stack.release(mounted.name, "migration")
    stack.release(mounted.name, "unhealthy")
    updated = inv_mounted(*given("health: {timeout: 5}"), "hot-update", "--yes")
    assert updated.code == Exit.UNDONE, updated.text
    assert known(mounted) == before
    restarted = inv_mounted("restart", "--strategy", "container")
    assert restarted.code == 0, restarted.text
    assert (known(mounted), health(mounted)) == (before, WELL)


@pytest.mark.does("mend_loop")
@pytest.mark.deep
def test_a_container_that_does_not_start_with_a_newer_schema_says_why_and_is_mended_by_a_restore(
    mounted: Sandbox, inv_mounted: Inv, given: SettingsFile
) -> None:
    before = known(mounted)
    stack.release(mounted.name, "migration")
    stack.release(mounted.name, "unhealthy")
    updated = inv_mounted(*given("health: {timeout: 5}\nundo: {database: keep}"), "hot-update", "--yes")
    assert (updated.code, "which it does not know" in updated.err) == (Exit.UNDONE, True), updated.text
    why = f"ends again and again: ERROR [flask_migrate] Error: Can't locate revision identified by '{sql(mounted, AT)}'"
    try:
        restarted = inv_mounted("restart", "--strategy", "container")
        assert (restarted.code, why in restarted.err) == (Exit.FAILED, True), restarted.text
        # At times it runs, for as long as its migration needs to fail.
        assert any(why in inv_mounted("preflight").out for _ in range(ENOUGH))
    finally:
        restored = inv_mounted("restore", "--yes")
    assert restored.code == 0, restored.text
    assert (known(mounted), health(mounted)) == (before, WELL)


@pytest.mark.deep
def test_a_container_that_is_recreated_goes_on_with_the_release(mounted: Sandbox, inv_mounted: Inv) -> None:
    commit = stack.release(mounted.name, "migration")
    assert inv_mounted("hot-update", "--yes").code == 0
    stack.break_(mounted.name, "recreated")
    assert (releases_served(mounted), health(mounted)) == ({number_of(mounted, commit)}, WELL)
    again = inv_mounted("hot-update", "--yes")
    assert (again.code, inv_mounted("status").code) == (0, 0), again.text


@pytest.mark.parametrize("kind", ["crash-loop", "ill-replica"])
def test_an_illness_that_the_app_cannot_have_is_refused_with_those_that_it_can(mounted: Sandbox, kind: str) -> None:
    with pytest.raises(Failure) as refused:
        stack.break_(mounted.name, kind)
    told = as_text(refused.value)
    assert (refused.value.code, kind in told.remedy) == (Exit.USAGE, False)
    assert "the app of the shape mounted is without " in told.fact


@pytest.mark.parametrize(
    "kind", ["service-stopped", "database-down", "forgotten-stamp", "recreated", "replica", "idle-transaction"]
)
def test_what_ails_it_is_mended(mounted: Sandbox, kind: str) -> None:
    stack.break_(mounted.name, kind)
    stack.restore(mounted.name)
    assert compose.replicas(mounted) == []
    assert (health(mounted), len(sql(mounted, AT))) == (WELL, 14)


def test_there_is_nothing_to_bake(mounted: Sandbox, inv_mounted: Inv) -> None:
    baked = inv_mounted("bake")
    assert (baked.code, baked.out) == (
        0,
        f"bake: nothing to do · a recreated container has the code from {mounted.path}\n",
    )
