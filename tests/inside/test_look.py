"""Inspect: what the container holds, and how that differs from the record and from a commit."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inside.world import World, lay, tree


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: it has capabilities to lose")
def test_the_capabilities_that_root_has_not_got_are_named() -> None:
    words = [sys.executable, "-c", "from deploy.inside.look import lacking; print(*lacking())"]
    whole = subprocess.run(words, capture_output=True, text=True, check=True)
    without = ["setpriv", "--bounding-set", "-kill,-chown", *words]
    told = subprocess.run(without, capture_output=True, text=True, check=True)
    assert (whole.stdout, told.stdout) == ("\n", "CHOWN KILL\n")


def test_inspect_changes_nothing(world: World) -> None:
    world.inspect(world.commit({"a.py": b"a"}))
    assert (tree(world.app), world.record.exists()) == ({}, False)


def test_inspect_of_no_commit_tells_nothing_of_a_target(world: World) -> None:
    found = world.inspect()
    assert (found["differs"], found["target_chain"], found["problems"]) == ({}, None, [])


def test_inspect_tells_the_record_without_its_manifest(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    world.update(revision, overridden={"uv.lock": "1" * 40})
    record = world.inspect()["record"]
    assert set(record) == {"revision", "complete", "run", "at", "overridden"}
    assert (record["revision"], record["complete"], record["overridden"]) == (revision, True, {"uv.lock": "1" * 40})


def test_inspect_finds_no_record_in_a_new_container(world: World) -> None:
    found = world.inspect()
    assert (found["record"], found["record_problem"], found["drift"]) == (None, None, [])


def test_inspect_tells_owner_and_free_space(world: World) -> None:
    found = world.inspect()
    assert found["owner"] == f"{world.app.stat().st_uid}:{world.app.stat().st_gid}"
    assert found["free_mib"] > 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"changed"),
        lambda file: file.chmod(0o755),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.symlink_to("b.py")),
        lambda file: (file.unlink(), file.mkdir()),
    ],
    ids=["bytes", "executable", "missing", "symlink", "folder"],
)
def test_drift_names_what_differs_from_the_record(world: World, damage: Callable[[Path], None]) -> None:
    world.update(world.commit({"a.py": b"a", "b.py": b"b"}))
    damage(world.app / "a.py")
    assert world.inspect()["drift"] == ["a.py"]


def test_drift_is_not_told_of_protected_and_derived_paths(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "b.py": b"b"}))
    lay(world.app, "a.py", b"changed")
    lay(world.app, "b.py", b"changed")
    assert world.inspect(protected=["a.py"], derived={"b.py": "c.py"})["drift"] == []


def test_drift_is_empty_after_an_incomplete_copy(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    world.scan(revision)
    world.run("apply", b"", revision=revision)
    assert world.inspect()["drift"] == []


def test_differs_tells_what_the_app_has_where_the_commit_wants_something_else(world: World) -> None:
    lay(world.app, "same", b"same")
    lay(world.app, "changed", b"")
    lay(world.app, "mode", b"mode")
    revision = world.commit({"same": b"same", "changed": b"x\n", "missing": b"x\n", "mode*": b"mode"})
    expected = {"changed": "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "missing": None}
    assert world.inspect(revision)["differs"] == expected


def test_a_part_that_fails_does_not_hide_the_others(world: World) -> None:
    found = world.inspect(user="nobody-here")
    assert found["owner"] is None
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith("owner: ")
    assert found["free_mib"] > 0


def test_words_of_people_stand_apart_from_the_facts(world: World) -> None:
    words = "the-password-is-complete"
    broken = world.commit({"migrations/versions/a.py": f"revision = '{words}'".encode()})
    facts, *texts = world.inspected(broken, user=words)
    assert words not in facts
    assert f"'{words}' cannot be a revision (migrations/versions/a.py, line 1)" in texts
    assert any(text.startswith("owner: ") and words in text for text in texts)


def test_the_message_of_a_migration_stands_apart_from_its_id(world: World) -> None:
    revision = b'''"""complete the revision"""\nrevision = "complete"\ndown_revision = None\n'''
    commit = world.commit({"migrations/versions/a.py": revision})
    facts, *_ = world.inspected(commit)
    assert json.loads(facts)["target_chain"]["heads"] == ["complete"]
    assert "complete the revision" not in facts
    assert world.inspect(commit)["target_chain"]["revisions"] == [
        {
            "revision": "complete",
            "down": [],
            "depends": [],
            "doc": "complete the revision",
            "file": "migrations/versions/a.py",
        }
    ]
