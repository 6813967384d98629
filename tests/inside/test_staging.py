"""A commit's tree beside the app's folder: what apply moves in, and what can be run from before it does."""

import os
from pathlib import Path
from typing import Any

from tests.inside.world import DERIVED, MADE, SOURCE, World, lay, tree


def test_a_copy_that_does_not_fit_is_refused_before_anything_changed(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    revision = world.commit({"a.py": b"b"})
    needed, _ = world.scan(revision)
    answer = world.run("stage", world.blobs(needed), revision=revision, need_bytes=2**20, min_free_mib=2**40)
    assert answer.returncode == 1
    assert answer.stderr.startswith(b"stage: needs 1099511627777 MiB in %b, " % os.fsencode(world.app))
    assert answer.stderr.endswith(b" MiB free\n")
    assert (tree(world.app), world.recorded()["complete"]) == ({"a.py": b"a"}, True)


def test_a_blob_that_the_host_does_not_send_is_an_error(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    world.scan(revision)
    assert world.run("stage", b"", revision=revision).stderr == b"stage: the host did not send a.py\n"


def test_nothing_is_applied_that_was_not_staged(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    world.scan(revision)
    answer = world.run("apply", b"", revision=revision)
    assert answer.stderr == f"apply: {revision} was not staged before\n".encode()
    assert not (world.record / "record.json").exists()


# A tree to be run from


def test_a_whole_stage_is_the_app_as_it_will_be(world: World) -> None:
    lay(world.app, "by hand.txt", b"mine")
    lay(world.app, ".venv/bin/python", b"python")
    lay(world.app, ".env", b"SECRET=1")
    lay(world.app, "userdata/logs/app.log", b"line")
    world.update(world.commit({"a.py": b"a", "gone.py": b"g", "run*": b"#!"}))
    revision = world.commit({"a.py": b"b", SOURCE: b"workers = 1"}, "gone.py")
    needed, _ = world.scan(revision, derived=DERIVED)
    place = world.done("stage", world.blobs(needed), revision=revision, whole=True, derived=DERIVED)
    staged = tree(Path(place.decode().strip()))
    assert staged == {
        "a.py": b"b",
        "run*": b"#!",
        "by hand.txt": b"mine",
        SOURCE: b"workers = 1",
        MADE: b"workers = 1",
        ".venv": str(world.app / ".venv"),
        ".env": str(world.app / ".env"),
    }
    assert [path.name for path in (world.record / "tree/userdata").iterdir()] == ["logs"]
    assert tree(world.app)["a.py"] == b"a"


def test_what_is_written_into_a_whole_stage_does_not_reach_the_app(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    lay(world.app, "app.db", b"rows")
    revision = world.commit({"b.py": b"b"})
    needed, _ = world.scan(revision)
    world.done("stage", world.blobs(needed), revision=revision, whole=True)
    for name in ("a.py", "app.db"):
        with (world.record / "tree" / name).open("ab") as staged:
            staged.write(b"by the new code")
        (world.record / "tree" / name).chmod(0o600)
    world.scan(revision)
    world.done("apply", revision=revision)
    assert tree(world.app) == {"a.py": b"a", "b.py": b"b", "app.db": b"rows"}


def test_a_whole_stage_has_symlinks_to_folders_and_writes_nothing_through_them(world: World) -> None:
    outside = world.place / "outside"
    lay(outside, "x.py", b"outside")
    world.update(world.commit({SOURCE: b"workers = 1", "link": str(outside)}))
    revision = world.commit({"a.py": b"a"})
    needed, _ = world.scan(revision)
    more: dict[str, Any] = {"derived": {"link/made.py": SOURCE}, "protected": ["link/kept"]}
    world.done("stage", world.blobs(needed), revision=revision, whole=True, **more)
    assert tree(world.record / "tree") == {"a.py": b"a", SOURCE: b"workers = 1", "link": str(outside)}
    assert tree(outside) == {"x.py": b"outside"}


def test_what_was_staged_can_be_thrown_away_without_following_its_links(world: World) -> None:
    lay(world.app, ".venv/bin/python", b"python")
    revision = world.commit({"a.py": b"a"})
    needed, _ = world.scan(revision)
    world.done("stage", world.blobs(needed), revision=revision, whole=True)
    world.done("discard")
    assert not (world.record / "tree").exists()
    assert tree(world.app) == {".venv/bin/python": b"python"}
