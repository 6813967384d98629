"""What an update does to the database is looked at, and the database's users are users too."""

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from deploy import shell
from deploy.errors import Failure
from deploy.message import pack, say
from deploy.sandbox import stack
from deploy.sandbox.compose import execute, is_healthy
from deploy.sandbox.databases import sql
from deploy.sandbox.home import Sandbox
from deploy.settings import load
from deploy.state import asking, variables
from tests.sandbox import imports
from tests.sandbox.conftest import ROOT, Inv, SettingsFile, run_inv
from tests.sandbox.facts import facts

pytestmark = pytest.mark.stack

REVISION = "SELECT version_num FROM alembic_version"
COLUMN = "SELECT count(*) FROM pg_attribute WHERE attname = 'made_at_boot' AND NOT attisdropped"
BOOT = "/app/.venv/bin/gunicorn --check-config --config gunicorn.conf.py wsgi:application"
# Read after the image's file, whose program it adds to.
SUPERVISED = "/etc/supervisor/conf.d/whalefall.more.conf"


@pytest.fixture(scope="module", autouse=True)
def healed(shared: Sandbox) -> Iterator[None]:
    """Leave the shared production at a good release, and with nothing of what the bad ones made."""
    yield
    sql(shared, "ALTER TABLE instances DROP COLUMN IF EXISTS made_at_boot; DROP TABLE IF EXISTS half_done")
    stack.release(shared.name, "code")
    ended = run_inv(shared.name, "hot-update", "--yes")
    assert ended.code == 0, ended.text


def test_what_a_plan_is_made_from_has_the_revision_of_the_database(sandbox: Sandbox) -> None:
    settings = load(project=ROOT, target=sandbox.name)
    script = shell.script("containers.sh", asking(settings), "guard.sh", **variables(settings)) + "guard\n"
    told = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=True)
    revision = (pack(say("database revision")), f"public.alembic_version {sql(sandbox, REVISION)}")
    assert revision in shell.records(told.stdout)


def test_an_app_that_migrates_itself_cannot_do_so_while_it_is_proven(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "self-migrating")
    before = facts(sandbox)
    ended = inv("hot-update", "--yes")
    assert ended.code == 3, ended.text
    assert "cannot execute ALTER TABLE in a read-only transaction" in ended.err.splitlines()[0]
    assert "  nothing was changed\n" in ended.err
    assert "set proof.database: writable" in ended.err.splitlines()[-1]
    assert (facts(sandbox), sql(sandbox, COLUMN)) == (before, "0")


def test_what_a_proof_writes_all_the_same_is_named_and_not_called_unchanged(
    sandbox: Sandbox, inv: Inv, given: SettingsFile
) -> None:
    stack.release(sandbox.name, "self-migrating")
    ended = inv(*given(f"proof: {{command: env -u PGOPTIONS {BOOT}}}\n"), "hot-update", "--yes")
    assert (ended.code, sql(sandbox, COLUMN)) == (6, "1"), ended.text
    assert "the schema is not as before: column public.instances.made_at_boot came" in ended.err
    assert "nothing was changed" not in ended.err
    sql(sandbox, "ALTER TABLE instances DROP COLUMN made_at_boot")


def test_a_proof_that_may_write_is_undone_with_the_dump_that_was_made_before_it(
    sandbox: Sandbox, inv: Inv, given: SettingsFile
) -> None:
    stack.release(sandbox.name, "self-migrating")
    file = given(f"proof: {{database: writable, command: '{BOOT} && false'}}\nundo: {{database: restore}}\n")
    ended = inv(*file, "hot-update", "--yes")
    assert ended.code == 5, ended.text
    assert re.findall(r"^[▸◂] (.*)", ended.out, re.MULTILINE) == ["backup", "proof", "undo proof"]
    assert (sql(sandbox, COLUMN), is_healthy(sandbox)) == ("0", True)
    assert "is not as before" not in ended.err


@pytest.fixture
def exporting(sandbox: Sandbox) -> Iterator[None]:
    """Give the app server's master a variable that the container has not, and the code to another user."""
    exports = f'HOME="/app",EXPORTED="by the entrypoint",PYTHONPATH="{imports.FOLDER}"'
    imports.watch(sandbox)
    execute(sandbox.app, "tee", SUPERVISED, stdin=f"[program:whalefall]\nenvironment={exports}\n")
    try:
        execute(sandbox.app, "sh", "-c", "chown root:root /app; supervisorctl update")
        yield
    finally:
        own = "find /app -xdev -user root ! -path /app/.env -exec chown -h whalefall:whalefall {} +"
        execute(sandbox.app, "sh", "-c", f"rm {SUPERVISED}; {own}; supervisorctl update")


@pytest.mark.usefixtures("exporting")
def test_a_proof_and_a_migration_have_what_the_app_servers_workers_have_whoever_owns_the_code(
    sandbox: Sandbox, inv: Inv
) -> None:
    stack.release(sandbox.name, "migration")
    ended = inv("hot-update", "--yes")
    assert ended.code == 0, ended.text
    assert sorted(imports.noted(sandbox)) == [f"{one} whalefall by the entrypoint" for one in ("flask", "gunicorn")]


@pytest.mark.parametrize("wanted", ["keep", "restore"])
def test_a_migration_that_fails_halfway_is_told_by_what_is_left_of_it(
    sandbox: Sandbox, inv: Inv, given: SettingsFile, wanted: str
) -> None:
    stack.release(sandbox.name, "half-migration")
    was = sql(sandbox, REVISION)
    ended = inv(*given(f"undo: {{database: {wanted}}}\n"), "hot-update", "--yes")
    assert (ended.code, sql(sandbox, REVISION)) == (5, was), ended.text
    left = sql(sandbox, "SELECT to_regclass('half_done')") == "half_done"
    assert left == (wanted == "keep")
    assert ("the schema is not as before: table public.half_done came" in ended.err) == left
    assert ended.err.splitlines()[-1].startswith("→ inv restore --backup ") == left
    sql(sandbox, "DROP TABLE IF EXISTS half_done")


def test_a_migration_waits_for_a_lock_only_shortly_and_tells_who_holds_it(
    sandbox: Sandbox, inv: Inv, given: SettingsFile
) -> None:
    stack.release(sandbox.name, "migration")
    was = sql(sandbox, REVISION)
    stack.break_(sandbox.name, "idle-transaction")
    ended = inv(*given("migrate: {lock_timeout: 1}\n"), "hot-update", "--yes")
    assert (ended.code, sql(sandbox, REVISION)) == (5, was), ended.text
    holder = r"held by session (\d+) \(user whalefall_user, application forgotten console, idle in transaction since "
    first = ended.err.splitlines()[0]
    assert re.search(f"no lock within 1 s, 4 times: the migration waits for a lock on instances: {holder}", first)
    assert re.search(f"^    waits for a lock on instances: {holder}", ended.out, re.MULTILINE)
    assert "in 1 s it is tried again (3 of 4)" in ended.out
    assert "as before, and so is its schema" in ended.out
    assert "Traceback" not in ended.text
    assert "select pg_terminate_backend(" in ended.err.splitlines()[-1]
    assert "idle in a transaction, so that migrations may wait for its locks" in inv("preflight").out


@pytest.mark.does("drop_index")
def test_an_index_whose_making_was_cut_off_is_found_and_its_remedy_takes_it_away(sandbox: Sandbox, inv: Inv) -> None:
    cut = "CREATE UNIQUE INDEX CONCURRENTLY cut_off ON database_size_aggregations (instance_id)"
    with pytest.raises(Failure):
        sql(sandbox, cut)
    told = inv("preflight").out
    assert "cut_off on database_size_aggregations is invalid" in told
    command = re.search(r"on the host, (docker exec .*?); then", told)
    assert command, told
    subprocess.run(shlex.split(command[1]), check=True, capture_output=True)
    assert "cut_off" not in inv("preflight").out
