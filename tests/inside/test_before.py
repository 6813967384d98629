"""Undo: what a copy replaced is brought back, with the record of what ran."""

import pytest

from tests.inside.world import World, lay, tree


@pytest.mark.parametrize("complete", [True, False])
def test_an_undone_copy_leaves_the_app_as_it_was(world: World, complete: bool) -> None:
    world.update(world.commit({"a.py": b"a", "run*": b"#!", "gone/x.py": b"x", "link": "a.py", "became": b"file"}))
    lay(world.app, "by hand.txt", b"mine")
    lay(world.app, "a.py", b"changed by hand")
    (world.app / "empty").mkdir()
    before, record = tree(world.app), world.recorded()
    files: dict[str | bytes, bytes | str] = {"a.py": b"b", "run": b"#!", "link": b"file", "empty/new.py": b"n"}
    revision = world.commit({**files, "by hand.txt": b"theirs"}, "gone", "run", "link", "became")
    revision = world.commit({"became/a/folder.py": b"f", "run": b"#!", "link": b"file"})
    if complete:
        world.update(revision)
        assert tree(world.app) != before
    else:
        world.fail(revision)
    world.done("undo")
    assert (tree(world.app), world.recorded()) == (before, record)
    assert (world.app / "empty").is_dir()
    assert sorted(path.name for path in world.record.iterdir()) == ["program", "record.json", "undone.json"]


def test_undo_after_a_first_copy_leaves_no_record(world: World) -> None:
    lay(world.app, "a.py", b"of the image")
    world.update(world.commit({"a.py": b"a", "new/b.py": b"b"}))
    world.done("undo")
    assert tree(world.app) == {"a.py": b"of the image"}
    assert sorted(path.name for path in world.record.iterdir()) == ["program", "undone.json"]
    assert not (world.app / "new").exists()


def test_undo_keeps_mode_and_time_of_what_it_brings_back(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    (world.app / "a.py").chmod(0o640)
    status = (world.app / "a.py").stat()
    world.update(world.commit({"a.py": b"b"}))
    world.done("undo")
    found = (world.app / "a.py").stat()
    assert (found.st_mode, found.st_mtime_ns, found.st_uid) == (status.st_mode, status.st_mtime_ns, status.st_uid)


def test_undo_can_be_repeated_and_belongs_to_its_run(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    world.update(world.commit({"a.py": b"b"}), run="run-2")
    assert world.done("undo") == b"the copy had not touched anything\n"
    assert tree(world.app) == {"a.py": b"b"}
    assert world.done("undo", run="run-2") == b"1 file as before, 0 removed again\n"
    world.done("undo", run="run-2")
    assert tree(world.app) == {"a.py": b"a"}
