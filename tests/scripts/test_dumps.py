"""Dumps of real databases, and the way back to one: each kind's own, by the same steps."""

import subprocess

import pytest
import sqlalchemy

from deploy import shell
from tests.scripts.asked import World

# A container that is stopped runs nothing more.
CONTROL = '[ -e "$python" ]; control() { [ "$1" != stop ] || python=/stopped; }\n'
STEP = shell.source("steps/backup.sh")
BEFORE = (
    "create table alembic_version (version_num varchar(32) not null)",
    "insert into alembic_version values ('a1')",
    "create table notes (id integer primary key, text varchar(200) not null)",
    "insert into notes values (1, 'it''s a \\\\ line')",
    "create index notes_text on notes (text)",
)
AFTER = (
    "update alembic_version set version_num = 'b2'",
    "create table more (id integer primary key)",
    "alter table notes add column seen integer",
    "insert into notes (id, text) values (2, 'later')",
)


@pytest.fixture
def dumped(world: World) -> World:
    """A database of which there is a dump, and that was changed since."""
    subprocess.run(["git", "init", "-q", str(world.asked.folder)], check=True)
    (world.asked.folder / ".git" / "hot-update").mkdir()
    world.change(*BEFORE)
    said = step(world, STEP, run="20260101T000000-0000", keep=5, code="")
    assert said[-1].startswith(f"{world.asked.database.name} at a1: 2 tables, "), said
    world.change(*AFTER)
    return world


def step(world: World, words: str, **variables: shell.Variable) -> list[str]:
    told: dict[str, shell.Variable] = {
        "backup_dir": "",
        "dump_timeout": 60,
        "min_free_mib": 1,
        "list_dumps": "see inv backup --list",
        "backup": "20260101T000000-0000",
    }
    sources = (f"scripts/dumps/{world.asked.database.kind}.sh", "backups.sh")
    return world.asked.lines(words, *sources, **{**told, **variables})


def notes(world: World) -> list[tuple[object, ...]]:
    engine = sqlalchemy.create_engine(world.url)
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql("select * from notes order by id")]
    engine.dispose()
    return found


def test_a_dump_becomes_the_database_and_what_was_there_can_come_back(dumped: World) -> None:
    was, now = notes(dumped)[0][:2], notes(dumped)
    step(dumped, CONTROL + "load\n" + shell.source("steps/swap.sh"))
    assert notes(dumped) == [was]
    assert dumped.asked.lines("revisions") == ["a1"]
    assert step(dumped, 'exists "$replaced" && echo kept') == ["kept"]
    step(dumped, CONTROL + shell.source("steps/swap.undo.sh"))
    assert notes(dumped) == now
    assert dumped.asked.lines("revisions") == ["b2"]
    assert step(dumped, 'exists "$replaced" || echo gone') == ["gone"]


def test_what_was_there_is_dropped_once_what_runs_is_proven(dumped: World) -> None:
    step(dumped, CONTROL + "load\n" + shell.source("steps/swap.sh"))
    said = step(dumped, "set -- new\n" + shell.source("scripts/proven.sh"), before="healthy")
    assert said[-1].startswith("dropped ")
    assert step(dumped, 'exists "$replaced" || echo gone') == ["gone"]
    assert len(notes(dumped)) == 1


def test_a_dump_that_was_cut_off_is_no_dump(dumped: World) -> None:
    folder = dumped.asked.folder / ".git" / "hot-update" / "backups"
    (dump,) = folder.glob("*.dump")
    whole = dump.read_bytes()
    dump.write_bytes(whole[: len(whole) * 2 // 3])
    told: dict[str, shell.Variable] = {
        "backup_dir": str(folder),
        "dump_timeout": 60,
        "min_free_mib": 1,
        "list_dumps": "x",
        "cut": str(dump),
    }
    sources = (f"scripts/dumps/{dumped.asked.database.kind}.sh", "backups.sh")
    ended = dumped.asked.bash('tables=$(tables_in "$cut"); echo "$tables"', *sources, **told)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr != ""


def test_the_undo_of_a_migration_that_failed_half_way_brings_the_dump_back(dumped: World) -> None:
    dumped.asked.lines("keep_schema schema.before", "schema.sh")
    kept = {"was": "a1", "target": "prod", "undo_database": "keep"}
    said = step(dumped, shell.source("steps/migrate.undo.sh"), **kept)
    assert said[0].startswith("the database stays at b2 (before: a1)")
    said = step(dumped, CONTROL + shell.source("steps/migrate.undo.sh"), **{**kept, "undo_database": "restore"})
    assert "is at a1 again" in said[-1]
    assert len(notes(dumped)) == 1
    step(dumped, 'drop "$replaced"')
