"""Dumps of the database: made before a migration, listed, pruned; and the way back to one of them."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.sandbox import stack
from deploy.sandbox.compose import is_healthy
from deploy.sandbox.databases import sql
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Inv, SettingsFile, run_inv
from tests.sandbox.facts import facts, holder

pytestmark = pytest.mark.stack

REVISION = "SELECT version_num FROM alembic_version"
DATABASES = "SELECT datname FROM pg_database WHERE datname LIKE 'whalefall%'"


@pytest.fixture(scope="module", autouse=True)
def healed(shared: Sandbox) -> Iterator[None]:
    """Leave the shared production at a good release, whose code knows the database's revision."""
    yield
    stack.release(shared.name, "code")
    ended = run_inv(shared.name, "hot-update", "--yes")
    assert ended.code == 0, ended.text


def folder(sandbox: Sandbox) -> Path:
    return sandbox.path / ".git/hot-update/backups"


def dumps(sandbox: Sandbox) -> list[str]:
    return sorted(file.stem for file in folder(sandbox).glob("*.dump"))


def run_of(text: str) -> str:
    found = re.search(r"^run (\S+)$", text, re.MULTILINE)
    assert found, text
    return found[1]


def test_dumps_are_listed_the_newest_first_and_only_so_many_are_kept(
    sandbox: Sandbox, inv: Inv, given: SettingsFile
) -> None:
    few = given("backup: {keep: 2}\n")
    made = []
    for _ in range(3):
        ended = inv(*few, "backup")
        assert ended.code == 0, ended.text
        made.append(run_of(ended.out))
        (folder(sandbox) / f"{made[-1]}.dump.part").write_text("of a killed run", encoding="ascii")
    assert f"removed {made[0]}: 2 are kept" in ended.out
    assert dumps(sandbox) == made[1:]
    (folder(sandbox) / f"{made[-1]}.dump.part").unlink()
    kept = sorted(folder(sandbox).iterdir())
    assert [file.name for file in kept] == [f"{run}.{kind}" for run in made[1:] for kind in ("about", "dump")]
    assert [file.stat().st_mode & 0o777 for file in kept] == [0o600] * 4
    before = facts(sandbox)
    head, *rows = inv("backup", "--list").out.splitlines()
    assert head.split() == ["backup", "age", "size", "database", "at", "code"]
    assert [row.split()[0] for row in rows] == made[:0:-1]
    assert sql(sandbox, REVISION) in rows[0]
    assert facts(sandbox) == before


SHIFTED = """
import datetime, time
YEAR = 365 * 86400
now = time.time
time.time = lambda: now() - YEAR
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Shifted
"""


def test_a_laptop_whose_clock_is_off_by_a_year_names_orders_and_prunes_by_the_hosts(
    sandbox: Sandbox, inv: Inv, given: SettingsFile, tmp_path: Path
) -> None:
    assert inv("backup").code == 0
    old = dumps(sandbox)[-1]
    for kind in ("about", "dump"):
        shutil.copy(folder(sandbox) / f"{old}.{kind}", folder(sandbox) / f"20990101T000000-beef.{kind}")
    (tmp_path / "sitecustomize.py").write_text(SHIFTED, encoding="ascii")
    away = {"PYTHONPATH": str(tmp_path), "LOGNAME": "ada\x1b[2J\n" + "a" * 10_000}
    ended = run_inv(sandbox.name, *given("backup: {keep: 1}\n"), "backup", environment=away)
    assert ended.code == 0, ended.text
    made = run_of(ended.out)
    assert made > old
    assert dumps(sandbox) == [made]
    last = inv("history").out.splitlines()[0]
    assert made in last
    assert r"backup by ada\x1b[2J\naaaa" in last
    assert len(last) < 300


@pytest.mark.parametrize(
    ("settings", "phrase"),
    [
        ("backup: {dir: /nowhere/at/all}", "backups cannot go to /nowhere/at/all: No such file or directory"),
        ("preflight: {min_free_mib: 900000}", "have to stay free · free some space there, or set backup.dir"),
    ],
)
def test_a_dump_that_cannot_be_made_is_told_with_its_reason(
    sandbox: Sandbox, inv: Inv, given: SettingsFile, settings: str, phrase: str
) -> None:
    before = dumps(sandbox)
    ended = inv(*given(settings), "backup")
    assert (ended.code, phrase in ended.err.splitlines()[0]) == (3, True), ended.text
    assert dumps(sandbox) == before


@pytest.mark.does("MAKE_ROOM_FOR_DUMP")
def test_a_dump_that_does_not_fit_is_refused_before_a_migration_by_the_dry_run_too(
    sandbox: Sandbox, inv: Inv, given: SettingsFile
) -> None:
    stack.release(sandbox.name, "migration")
    free = shutil.disk_usage(sandbox.path).free // 2**20
    # Enough in general, but the database has more than a MiB.
    cramped = given(f"preflight: {{min_free_mib: {free - 1}}}\n")
    before = facts(sandbox)
    for words in (("preflight",), ("hot-update", "--dry-run"), ("hot-update", "--yes")):
        ended = inv(*cramped, *words)
        assert (ended.code, " MiB free for a dump in " in ended.text) == (3, True), ended.text
    assert facts(sandbox) == before
    assert inv(*cramped, "hot-update", "--dry-run", "--no-backup").code == 0


def test_a_dump_that_fails_stops_the_update_before_anything_is_changed(
    sandbox: Sandbox, inv: Inv, given: SettingsFile
) -> None:
    stack.release(sandbox.name, "migration")
    before = facts(sandbox), sql(sandbox, REVISION)
    ended = inv(*given("backup: {dir: /nowhere/at/all}\n"), "hot-update", "--yes")
    assert ended.code == 3, ended.text
    assert ended.err.startswith("✗ backup failed on ")
    assert "  nothing was changed\n" in ended.err
    assert "▸ sync" not in ended.out
    assert (facts(sandbox), sql(sandbox, REVISION)) == before
    assert holder(sandbox) == ""
    plan = inv("hot-update", "--dry-run", "--no-backup").out
    assert re.findall(r"^\d\. (\w+)", plan, re.MULTILINE) == ["proof", "sync", "migrate", "copy", "clean", "restart"]
    assert "     without a dump before it" in plan


def test_a_restore_brings_data_and_schema_back_and_ends_healthy(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "migration")
    was = sql(sandbox, REVISION)
    names = sql(sandbox, "SELECT array_agg(name ORDER BY id) FROM instances")
    sql(sandbox, "ALTER DATABASE whalefall_prod SET timezone = 'Asia/Shanghai'")
    updated = inv("hot-update", "--yes")
    assert updated.code == 0, updated.text
    dump = run_of(updated.out)
    assert dumps(sandbox)[-1] == dump
    assert sql(sandbox, REVISION) != was
    sql(sandbox, "UPDATE instances SET name = 'spoilt'; CREATE TABLE newer_than_the_dump (id integer)")

    file = folder(sandbox) / f"{dump}.dump"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    before = facts(sandbox)
    damaged = inv("restore", "--yes")
    assert (damaged.code, f"the dump {dump} is damaged" in damaged.err) == (3, True), damaged.text
    assert (facts(sandbox), sql(sandbox, DATABASES)) == (before, "whalefall_prod")
    file.write_bytes(whole)

    unknown = inv("restore", "--backup", "nope", "--yes")
    assert unknown.code == 2
    assert unknown.err == f"✗ there is no backup nope\n→ there are: {', '.join(dumps(sandbox)[::-1])}\n"
    nobody = inv("restore", "--backup", dump)
    assert (nobody.code, "give --yes" in nobody.err) == (2, True)

    ended = inv("restore", "--backup", dump, "--yes")
    assert ended.code == 0, ended.text
    assert f"newer than the schema of the dump ({was}): " in ended.out
    assert ended.out.splitlines()[-1].startswith(
        f"{sandbox.name}: whalefall_prod is that of backup {dump}, at {was}, and healthy (restore "
    )
    assert (sql(sandbox, REVISION), is_healthy(sandbox)) == (was, True)
    assert sql(sandbox, "SELECT array_agg(name ORDER BY id) FROM instances") == names
    assert sql(sandbox, "SELECT to_regclass('newer_than_the_dump')") == ""
    assert sql(sandbox, "SHOW timezone") == "Asia/Shanghai"
    assert sql(sandbox, DATABASES) == "whalefall_prod"


def test_a_restore_that_ends_ill_is_undone(sandbox: Sandbox, inv: Inv, given: SettingsFile) -> None:
    assert inv("backup").code == 0
    sql(sandbox, "CREATE TABLE newer_than_the_dump (id integer)")
    # What is dumped is fine; what the container is asked after the swap is not.
    ended = inv(*given("restart: {reload: ['false']}\n"), "restore", "--yes")
    assert ended.code == 6, ended.text
    assert "whalefall_prod is the one of before again" in ended.out
    assert sql(sandbox, "DROP TABLE newer_than_the_dump; SELECT 'was there'") == "was there"
    assert (sql(sandbox, DATABASES), is_healthy(sandbox)) == ("whalefall_prod", True)


@pytest.mark.parametrize("wanted", ["restore", "keep"])
def test_an_update_that_is_undone_treats_its_migration_as_the_settings_say(
    sandbox: Sandbox, inv: Inv, given: SettingsFile, wanted: str
) -> None:
    stack.release(sandbox.name, "migration")
    stack.release(sandbox.name, "unhealthy")
    was, before = sql(sandbox, REVISION), facts(sandbox)
    file = given(f"{{health: {{timeout: 3}}, undo: {{database: {wanted}}}}}\n")
    ended = inv(*file, "hot-update", "--yes")
    assert ended.code == 5, ended.text
    assert (sql(sandbox, REVISION) == was) == (wanted == "restore")
    told = "the old code runs on the new schema: the database is at " in ended.err
    assert told == (wanted == "keep")
    assert (f"inv restore --backup {run_of(ended.out)} --target {sandbox.name}" in ended.out) == told
    assert (facts(sandbox).head, facts(sandbox).container) == (before.head, before.container)
    assert (sql(sandbox, DATABASES), is_healthy(sandbox)) == ("whalefall_prod", True)
