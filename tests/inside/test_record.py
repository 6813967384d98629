"""What the container remembers of the last copy, and which difference to it is asked for."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.inside.record import SHAPES, read_json, read_record, trust
from deploy.inside.tree import Tree
from tests.inside.damage import damaged
from tests.inside.world import World, tree


def test_the_record_names_the_revision_once_the_copy_is_complete(world: World) -> None:
    revision = world.commit({"a.py": b"a", "b*": b""})
    world.update(revision, overridden={"uv.lock": "1" * 40})
    record = world.recorded()
    assert (record["revision"], record["complete"], record["run"]) == (revision, True, "run-1")
    assert record["overridden"] == {"uv.lock": "1" * 40}
    assert record["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert 0 < record["uptime"] <= float(Path("/proc/uptime").read_text().split()[0])
    assert record["manifest"]["b"] == ["100755", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"]


def test_only_its_owner_may_read_the_record(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    assert stat.S_IMODE((world.record / "record.json").stat().st_mode) == 0o600


def test_a_complete_copy_leaves_its_record_and_what_it_replaced(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    world.update(world.commit({"a.py": b"b"}))
    assert sorted(path.name for path in world.record.iterdir()) == ["before", "before.json", "program", "record.json"]
    assert tree(world.record / "before") == {"a.py": b"a"}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"revision": 1, "complete": true}', '{"manifest": [1]}'])
def test_a_record_that_cannot_be_read_counts_as_none_and_is_named(world: World, content: str) -> None:
    world.record.mkdir()
    (world.record / "record.json").write_text(content)
    found = world.inspect()
    assert found["record"] is None
    assert found["record_problem"].startswith(f"the record in {world.record} cannot be read: ")


def test_an_update_survives_a_record_that_cannot_be_read(world: World) -> None:
    world.record.mkdir()
    (world.record / "record.json").write_text("{")
    revision = world.commit({"a.py": b"a"})
    world.update(revision)
    assert world.recorded()["revision"] == revision


# After a copy that failed


def test_a_failed_copy_leaves_an_incomplete_record(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    revision = world.commit({"a.py": b"b"})
    answer = world.fail(revision)
    assert answer.returncode == 1
    assert answer.stderr.startswith(b"apply: No such file or directory: ")
    assert (world.recorded()["complete"], world.recorded()["revision"]) == (False, revision)


def test_after_a_failed_copy_everything_is_needed(world: World) -> None:
    first = world.commit({"a.py": b"a", "b.py": b"b"})
    world.update(first)
    second = world.commit({"a.py": b"c"})
    world.fail(second)
    assert len(world.scan(second)[0]) == 2


def test_a_copy_after_a_failed_one_removes_what_the_one_before_that_had_written(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "old.py": b"old"}))
    second = world.commit({"a.py": b"b"}, "old.py")
    world.fail(second)
    world.history = lambda: b"\0"  # type: ignore[method-assign]
    world.update(second)
    assert tree(world.app) == {"a.py": b"b"}


def test_a_copy_after_a_failed_one_removes_what_that_one_wrote(world: World) -> None:
    first = world.commit({"a.py": b"a"})
    world.update(first)
    second = world.commit({"new.py": b"1", "new2.py": b"2"})
    needed, _ = world.scan(second)
    world.run("apply", world.blobs(needed[:1]), revision=second)
    world.git("reset", "-q", "--hard", first)
    world.update(first)
    assert tree(world.app) == {"a.py": b"a"}


# Entries as a difference


def base_asked(world: World, **changes: Any) -> str:
    """The commit that a scan asks for as the base of what it is told."""
    asked = []
    revision = world.git("rev-parse", "HEAD").decode().strip()

    def sent(base: str) -> bytes:
        asked.append(base)
        return world.entries(revision) + world.history()

    world.done("scan", sent, revision=revision, **changes)
    return asked[0]


def test_a_scan_asks_for_the_difference_to_what_was_copied_last(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    assert base_asked(world) == ""
    world.update(revision)
    assert base_asked(world) == revision


def test_after_a_copy_that_did_not_end_every_entry_is_asked_for(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    world.fail(world.commit({"a.py": b"b"}))
    assert base_asked(world) == ""


@pytest.mark.parametrize("changes", [{"protected": [".env"]}, {"exclude": ["docs"]}])
def test_where_other_files_are_copied_than_the_last_time_every_entry_is_asked_for(
    world: World, changes: dict[str, Any]
) -> None:
    world.update(world.commit({"a.py": b"a"}))
    assert base_asked(world, **changes) == ""


def test_a_difference_may_add_change_and_remove_files_and_make_one_a_submodule(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "gone.py": b"g", "run": b"#!", "vendor": b"file"}))
    world.commit({"a.py": b"b", "new.py": b"n", "run*": b"#!"}, "gone.py", "vendor")
    world.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor")
    world.git("commit", "-q", "-m", "a submodule")
    world.update(world.git("rev-parse", "HEAD").decode().strip())
    assert tree(world.app) == {"a.py": b"b", "new.py": b"n", "run*": b"#!"}


# Files that are damaged


@pytest.mark.parametrize("content", ["", "{", "[]", '{"started": "x"}', '{"started": 1, "workers": 0, "at": 1}'])
def test_a_damaged_file_of_ours_counts_as_none_and_is_named(world: World, content: str) -> None:
    world.update(world.commit({"a.py": b"a"}))
    (world.record / "rolled.json").write_text(content)
    found = world.inspect()
    assert found["damaged"] == [f"{world.record}/rolled.json"]
    assert found["problems"] == []


def test_a_copy_whose_description_is_damaged_is_not_said_to_be_undone_and_is_kept(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    world.update(world.commit({"a.py": b"b"}))
    (world.record / "before.json").write_text("{")
    answer = world.run("undo")
    assert answer.stderr.startswith(b"undo: before.json in ")
    world.update(world.commit({"a.py": b"c"}))
    assert tree(world.record / "before.damaged") == {"a.py": b"a"}


def test_a_record_with_signatures_of_other_files_counts_as_none(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    record = world.recorded()
    record["signatures"]["other.py"] = [1]
    (world.record / "record.json").write_text(json.dumps(record))
    found = world.inspect()
    assert found["record"] is None
    assert "signatures of files that it does not name" in found["record_problem"]


FACTS = {
    "revision": "1" * 40,
    "run": "r1",
    "boot_id": "b",
    "complete": True,
    "uptime": 1.5,
    "manifest": {"a/b.py": ["100644", "1" * 40]},
    "signatures": {"a/b.py": [1, 2]},
    "paths": ["c"],
    "derived": {"d": "1" * 40},
}
IN_ITS_STEAD = [None, True, -1, 1e999, "", "..", "\ud800", [], [1], {}, {"..": ["a", "b"]}, {"a": 1}, {"a": [1, 2, 3]}]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        damaged(json.dumps(FACTS).encode()),
        st.builds(
            lambda name, value: json.dumps({**FACTS, name: value}).encode(),
            st.sampled_from(sorted(FACTS)),
            st.sampled_from(IN_ITS_STEAD),
        ),
    )
)
def test_any_damaged_record_is_read_or_named(tmp_path: Path, content: bytes) -> None:
    for name in (b"record.json", *SHAPES):
        (tmp_path / name.decode()).write_bytes(content)
    told = {"record": str(tmp_path), "app": str(tmp_path), "protected": [], "exclude": [], "derived": {}}
    record, problem = read_record(told)
    assert (record is None) is (problem is not None)
    trust(Tree(told), record)
    for name in SHAPES:
        read_json(told, name)
