"""What is asked of a database, of real ones: each kind answers the same questions in the same records."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from deploy.settings.model import Database
from tests.scripts import servers
from tests.scripts.asked import RUN, Asked, World
from tests.scripts.conftest import WAYS
from tests.scripts.servers import PASSWORD

STAMPED = (
    "create table alembic_version (version_num varchar(32) not null)",
    "insert into alembic_version values ('a1')",
    "create table notes (id integer primary key, text varchar(20) not null)",
)


def test_a_database_tells_its_tables_columns_and_revision(world: World) -> None:
    world.change(*STAMPED)
    told = [line.split("\t") for line in world.asked.lines("tell_database")]
    kinds = {fields[0]: fields[1:] for fields in told}
    assert kinds["db_tables"] == ["1"]
    assert dict(fields[1:] for fields in told if fields[0] == "db_column").keys() == {"notes.id", "notes.text"}
    assert int(kinds["db_size"][0]) > 0
    (table, _, usual), (holder, revision) = kinds["db_version_table"], kinds["db_revision"]
    assert (table == holder, table.endswith(".alembic_version"), usual, revision) == (True, True, "t", "a1")
    assert world.asked.lines("revisions") == ["a1"]
    assert world.asked.lines("revisions", version_table="other.table") == [""]


def test_an_empty_database_is_empty(world: World) -> None:
    told = world.asked.lines("tell_database")
    assert "db_tables\t0" in told
    assert not [line for line in told if line.startswith(("db_version_table", "db_revision", "db_column"))]
    assert world.asked.lines("revisions") == [""]


def test_a_version_table_of_another_name_is_found_and_a_table_with_more_columns_is_none(world: World) -> None:
    world.change(
        "create table shop_versions (version_num varchar(40))",
        "insert into shop_versions values ('b2')",
        "create table papers (version_num varchar(32), title varchar(20))",
    )
    told = [line.split("\t") for line in world.asked.lines("tell_versions")]
    tables = [fields[1].split(".")[1] for fields in told if fields[0] == "db_version_table"]
    assert (tables, [fields[2] for fields in told if fields[0] == "db_revision"]) == (["shop_versions"], ["b2"])


def test_a_schema_shows_what_came_went_and_changed(world: World) -> None:
    world.change(*STAMPED, "create table old (id integer primary key)")
    look = "keep_schema before; [ -e before ] || { cat before.problem >&2; exit 1; }\n"
    world.asked.lines(look)
    world.change(
        "alter table notes add column seen integer",
        "create index notes_text on notes (text)",
        "drop table old",
        "create table new (id integer primary key)",
        "insert into notes (id, text) values (1, 'data')",
    )
    told = world.asked.lines("keep_schema after; schema_differences before after")
    schema = "public." if world.asked.database.kind == "postgres" else ""
    expected = {f"came\tcolumn {schema}notes.seen", f"came\ttable {schema}new", f"went\ttable {schema}old"}
    assert expected <= set(told)
    assert [line for line in told if "notes_text" in line] != []
    assert world.asked.lines("keep_schema again; schema_differences after again") == []


def test_a_database_that_cannot_be_asked_says_why_and_no_secret(world: World) -> None:
    world.asked.environment |= {"PGPORT": "1", "MARIADB_PASSWORD": f"not {PASSWORD}"}
    if world.asked.database.kind == "sqlite":
        world.asked.database = Database(kind="sqlite", name="/nowhere/shop.db", url=world.asked.database.url)
        world.asked.environment["SHOP_URL"] = "sqlite:////nowhere/shop.db"
    else:
        world.asked.environment["SHOP_URL"] = world.url.replace("shop:", "nobody:")
    ended = world.asked.bash("tell_database")
    assert (ended.returncode != 0, ended.stdout) == (True, "")
    assert ended.stderr.strip() != ""
    assert PASSWORD not in ended.stderr
    assert servers.QUOTED not in ended.stderr


def test_a_url_that_nobody_set_is_named_by_its_variable(tmp_path: Path) -> None:
    asked = Asked(tmp_path, Database(url="SHOP_URL"))
    assert asked.bash("tell_versions").stderr == "query: the app's container has no variable SHOP_URL\n"


def test_a_url_in_the_env_file_counts_and_one_that_is_none_is_not_shown(tmp_path: Path) -> None:
    asked = Asked(tmp_path, Database(url="SHOP_URL"))
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / ".env").write_text(f"SHOP_URL=nosuch://shop:{PASSWORD}@h/d\n")
    said = asked.bash("tell_versions").stderr
    assert (PASSWORD in said, said.startswith("query: the URL in SHOP_URL cannot be used")) == (False, True)


@pytest.fixture
def waiting(world: World) -> Iterator[Callable[[], None]]:
    """Somebody who holds a lock, and somebody of the run who waits for it."""
    world.change("create table notes (id integer primary key)")
    engine = sqlalchemy.create_engine(world.url)
    holder, waiter = engine.connect(), engine.connect()
    holder.exec_driver_sql("select * from notes")
    session = world.asked.lines("session_of 20")
    for line in session if world.asked.database.kind == "mysql" else [f"set application_name = 'hot-update {RUN}'"]:
        waiter.exec_driver_sql(line)

    def wait() -> None:
        waiter.exec_driver_sql("alter table notes add column seen integer")

    yield wait
    for one in (holder, waiter):
        one.close()
    engine.dispose()


# SQLite does not tell who waits.
@pytest.mark.parametrize("world", [way for way in WAYS if not way.startswith("sqlite")], indirect=True)
def test_who_waits_is_seen_and_the_sessions_of_a_run_are_ended(world: World, waiting: Callable[[], None]) -> None:
    met: list[str] = []

    def wait() -> None:
        try:
            waiting()
        except sqlalchemy.exc.DBAPIError as error:
            met.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(1.2)
    told = world.asked.lines('exec {stop}<> <(:); { sleep 1; echo >&"$stop"; } & watch_waits 0.3')
    assert float(told[-1]) >= 1
    assert world.asked.lines("end_sessions") == ["1"]
    thread.join(timeout=20)
    assert len(met) == 1
    assert world.asked.lines("end_sessions") == ["0"]


def test_who_dumps_connects_as_the_app_does(tmp_path: Path) -> None:
    asked = Asked(tmp_path, Database(url="SHOP_URL"))
    asked.environment["SHOP_URL"] = f"postgres://shop:{servers.QUOTED}@db:5433/shop?sslmode=require"
    told = asked.lines('inside connection "$inside_settings" </dev/null')
    assert told[:6] == [
        "PGHOST=db",
        "PGPORT=5433",
        "PGUSER=shop",
        f"PGPASSWORD={PASSWORD}",
        "PGDATABASE=shop",
        "PGSSLMODE=require",
    ]
    assert told[6:] == ["PGCONNECT_TIMEOUT=10", "HOT_UPDATE_DATABASE=shop"]


def test_a_client_that_is_not_told_how_to_connect_does_not_run(tmp_path: Path) -> None:
    asked = Asked(tmp_path, Database(url="SHOP_URL"))
    ended = asked.bash("connection=; by_client 'echo ran'", "backups.sh")
    assert (ended.returncode != 0, ended.stdout) == (True, "")
