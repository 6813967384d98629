"""Each verb alone: a release brought to production step by step, looked at in between."""

import json
import re

import pytest

from deploy.sandbox import stack
from deploy.sandbox.databases import sql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Ended, Inv
from tests.sandbox.facts import facts
from tests.test_events import document

pytestmark = pytest.mark.stack

SITUATION = "SELECT version_num FROM alembic_version"


@pytest.fixture
def updated(sandbox: Sandbox, inv: Inv) -> Sandbox:
    """The shared production, at the newest release and healthy."""
    ended = inv("hot-update", "--yes")
    assert ended.code == 0, ended.text
    return sandbox


def good(ended: Ended) -> str:
    assert ended.code == 0, ended.text
    assert ended.err == ""
    return ended.out


@pytest.mark.does("restart", "look_at_migrations")
def test_the_verbs_bring_a_release_to_production_one_by_one(updated: Sandbox, inv: Inv) -> None:
    was, before = sql(updated, SITUATION), facts(updated)
    commit = stack.release(updated.name, "migration")

    assert "origin/main at " + commit[:7] in good(inv("preflight"))
    assert facts(updated) == before

    assert f"main: {before.head[:7]} -> {commit[:7]} (1 commit)" in good(inv("sync"))
    synced = facts(updated)
    assert (synced.head, synced.record, synced.started) == (commit, before.record, before.started)

    assert " written (" in good(inv("copy"))
    copied = facts(updated)
    assert (json.loads(copied.record)["revision"], copied.started) == (commit, before.started)

    told = document(good(inv("health", "--json")))
    assert (told["healthy"], told["revision"]) == (True, commit)
    assert told["drift"] == "older than the code: whalefall"

    database, heads, pending = good(inv("migrate", "--current")).splitlines()
    head = heads.split()[1]
    assert (database, pending.split()[:2]) == (f"database  {was}", ["pending", head])
    newest, second, *_ = good(inv("migrate", "--history")).splitlines()
    assert (newest.split()[0], newest.endswith(" (head)")) == (head, True)
    assert (second.split()[0], second.endswith(" (database)")) == (was, True)
    printed = good(inv("migrate", "--sql"))
    assert "ADD COLUMN IF NOT EXISTS note_" in printed
    assert printed.count("CREATE TABLE") == 0
    assert sql(updated, SITUATION) == was
    assert f"database at {head}" in good(inv("migrate"))
    assert sql(updated, SITUATION) == head

    assert "__pycache__ folders and " in good(inv("clean"))
    assert facts(updated) == copied

    assert "scheduler.lock: held by a new worker" in good(inv("restart"))
    assert facts(updated) == copied
    assert "the app answers (200)" in good(inv("restart", "--strategy", "container"))
    restarted = facts(updated)
    assert (restarted.container, restarted.started == before.started) == (before.container, False)
    ended = good(inv("attach"))
    assert ("▸ restart" in ended, "the app answers (200)" in ended) == (True, True)

    shown = good(inv("health"))
    assert f"runs {commit[:7]}; drift: none" in shown
    assert shown.count(" healthy in ") == 2
    for verb in ("sync", "copy", "migrate"):
        assert good(inv(verb)).startswith(f"{verb}: nothing to do · clone at {commit[:7]}, container at {commit[:7]}")
    assert facts(updated) == restarted


def test_health_for_machines_has_the_keys_that_are_documented(updated: Sandbox, inv: Inv) -> None:
    told = document(good(inv("health", "--json")))
    assert list(told) == ["schema", "target", "healthy", "revision", "drift", "stale_builds", "checks"]
    assert (told["schema"], told["target"], told["healthy"]) == (1, updated.name, True)
    assert (told["drift"], told["stale_builds"]) == (None, [])
    assert told["revision"] == git(updated.path, "rev-parse", "HEAD")
    assert [list(check) for check in told["checks"]] == [
        ["name", "url", "healthy", "status", "latency_ms", "problem"],
    ] * 2
    assert [(check["name"], check["status"]) for check in told["checks"]] == [("nginx", 200), ("direct", 200)]


def test_status_names_releases_memory_and_the_last_dump(updated: Sandbox, inv: Inv) -> None:
    assert inv("backup").code == 0
    running, subject = git(updated.path, "log", "-1", "--format=%H%n%s").splitlines()
    told = document(good(inv("status", "--json")), "status")
    (one,) = told["releases"]
    assert (running.startswith(one["revision"]), one["subject"], one["age_s"] < 3600) == (True, subject, True)
    assert [one["memory_mib"] > 0 for one in told["containers"].values()] == [True] * 3
    shown, dump = good(inv("status")), told["dumps"][-1]
    assert f"{running[:7]} {subject}, " in shown
    assert re.search(rf"last dump +[0-9]+ seconds? ago, at {dump['revision']} \({dump['backup']}\)", shown)


def test_a_stamp_writes_a_revision_and_runs_nothing(sandbox: Sandbox, inv: Inv) -> None:
    was, columns = sql(sandbox, SITUATION), "SELECT count(*) FROM information_schema.columns"
    before = sql(sandbox, columns)
    refused = inv("migrate", "--stamp", "20990101000000")
    assert (refused.code, "has no revision 20990101000000" in refused.err) == (3, True)
    assert refused.err.splitlines()[-1] == f"→ inv migrate --history --target {sandbox.name} lists them"
    assert "stamped with 20251224134000" in good(inv("migrate", "--stamp", "20251224134000"))
    assert sql(sandbox, SITUATION) == "20251224134000"
    good(inv("migrate", "--stamp", was))
    assert (sql(sandbox, SITUATION), sql(sandbox, columns)) == (was, before)


def test_questions_that_exclude_each_other_are_a_usage_error(sandbox: Sandbox, inv: Inv) -> None:
    ended = inv("migrate", "--current", "--history")
    assert (ended.code, ended.err) == (2, "✗ --current, --history, --sql and --stamp exclude each other\n")
