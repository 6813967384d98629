"""A tree staged whole is kept: the next stage copies only what differs, and ends as if there had been none before."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inside.world import DERIVED, MADE, SOURCE, World, lay, state, tree, words_of
from tests.plain import plain_bytes

Damage = Callable[[Path, Path], None]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with every kind of file, updated once."""
    world = World(tmp_path)
    world.settings["derived"] = DERIVED
    for name in (".env", ".venv/bin/python", "userdata/logs/app.log", "by hand.txt", "pkg/by hand.txt"):
        lay(world.app, name, b"mine")
    (world.app / "by hand.txt").chmod(0o640)
    world.update(world.commit({"a.py": b"a", "pkg/b.py": b"b", "pkg/deep/run*": b"#!", "l": "a.py", SOURCE: b"w"}))
    (world.app / MADE).unlink()
    return world


def inodes(world: World) -> dict[str, int]:
    place = world.record / "tree"
    return {str(path.relative_to(place)): path.lstat().st_ino for path in place.rglob("*")}


# What can stay


def test_what_did_not_change_is_not_copied_again(world: World) -> None:
    revision = world.commit({"a.py": b"b"})
    world.stage_whole(revision)
    before = inodes(world)
    world.done("apply", revision=revision)
    world.stage_whole(world.commit({"a.py": b"c"}))
    after = inodes(world)
    assert {name for name in before if before[name] == after[name]} >= {
        "by hand.txt", "pkg", "pkg/by hand.txt", "pkg/b.py", "pkg/deep", "pkg/deep/run", "l", SOURCE,
    }  # fmt: skip


def test_what_apply_took_out_of_the_tree_is_copied_next_time(world: World) -> None:
    revision = world.commit({"a.py": b"b"})
    world.stage_whole(revision)
    world.done("apply", revision=revision)
    world.stage_whole(world.commit({"pkg/b.py": b"c"}))
    assert tree(world.record / "tree").items() >= {"a.py": b"b", "pkg/b.py": b"c"}.items()


def test_only_what_will_be_copied_needs_room(world: World) -> None:
    with (world.app / "large").open("wb") as large:
        large.truncate(3 * 2**20)
    revision = world.commit({"a.py": b"b"})
    needs = []
    for _ in range(2):
        needed, _ = world.scan(revision, whole=True)
        sent = world.blobs(needed)
        refused = world.run("stage", sent, revision=revision, whole=True, min_free_mib=2**40, need_bytes=2**19)
        needs.append(int(refused.stderr.split()[2]) - 2**40)
        world.done("stage", sent, revision=revision, whole=True)
    assert needs == [4, 1]


def test_what_apply_took_files_out_of_is_not_staged_any_more(world: World) -> None:
    revision = world.commit({"a.py": b"b"})
    world.stage_whole(revision)
    world.done("apply", revision=revision)
    world.scan(revision)
    assert world.run("apply", revision=revision).stderr == f"apply: {revision} was not staged before\n".encode()


# What cannot

DAMAGES: dict[str, Damage] = {
    "file added": lambda place, _: lay(place, "pkg/new.py", b"new"),
    "folder added": lambda place, _: lay(place, "new/deep/new.py", b"new"),
    "empty folder added": lambda place, _: (place / "pkg/empty").mkdir(),
    "bytecode": lambda place, _: lay(place, "pkg/__pycache__/b.cpython-311.pyc", b"code"),
    "fifo added": lambda place, _: os.mkfifo(place / "pkg/fifo"),
    "socket added": lambda place, _: os.mknod(place / "pkg/socket", 0o140644),
    "scratch written": lambda place, _: lay(place, "userdata/logs/app.log", b"new"),
    "scratch to symlink": lambda place, app: become(place, "userdata", f"{app}/userdata"),
    "file written": lambda place, _: write_unseen(place / "pkg/b.py"),
    "file gone": lambda place, _: (place / "pkg/b.py").unlink(),
    "file's mode": lambda place, _: (place / "pkg/b.py").chmod(0o4777),
    "file to folder": lambda place, _: become(place, "pkg/b.py/c", b"new"),
    "file to symlink": lambda place, app: become(place, "pkg/b.py", f"{app}/pkg/b.py"),
    "blob to symlink": lambda place, app: become(place, "a.py", f"{app}/a.py"),
    "file to hard link": lambda place, app: name_again(app / "pkg/b.py", place / "pkg/b.py"),
    "blob to hard link": lambda place, app: name_again(app / "a.py", place / "a.py"),
    "second name": lambda place, _: (place.parent / "name").hardlink_to(place / "pkg/b.py"),
    "symlink elsewhere": lambda place, _: become(place, "l", "/nonexistent"),
    "folder gone": lambda place, _: shutil.rmtree(place / "pkg"),
    "folder read-only": lambda place, _: (place / "pkg").chmod(0o500),
    "folder's mode": lambda place, _: (place / "pkg").chmod(0o3777),
    "folder to file": lambda place, _: become(place, "pkg", b"new"),
    "folder to symlink": lambda place, app: become(place, "pkg", f"{app}/pkg"),
    "protected to folder": lambda place, _: become(place, ".venv/bin/python", b"new"),
    "protected elsewhere": lambda place, _: become(place, ".env", "a.py"),
    "derived": lambda place, _: lay(place, MADE, b"new"),
    "tree to file": lambda place, _: become(place.parent, "tree", b"new"),
    "tree to symlink": lambda place, app: become(place.parent, "tree", str(app)),
}
# Only root may give files away.
for path in ("pkg/b.py", "pkg/deep", ".") if os.getuid() == 0 else ():
    DAMAGES[f"owner of {path}"] = lambda place, _, path=path: os.chown(place / path, 4321, 4321)  # type: ignore[misc]


def write_unseen(file: Path) -> None:
    """Write into a file, and leave it its length and time."""
    stamp = file.stat().st_mtime_ns
    with file.open("r+b") as stream:
        stream.write(b"c")
    os.utime(file, ns=(stamp, stamp))


def name_again(file: Path, name: Path) -> None:
    name.unlink()
    name.hardlink_to(file)


def become(folder: Path, name: str, content: bytes | str) -> None:
    """Lay a file where something else was, or where it needs a folder."""
    path = folder
    for part in Path(name).parts:
        path /= part
        if path.is_symlink() or path.is_file():
            path.unlink()
    shutil.rmtree(path, ignore_errors=True)
    lay(folder, name, content)


@pytest.mark.parametrize("damage", DAMAGES)
def test_whatever_a_proof_did_to_the_tree_is_gone_and_the_app_is_as_it_was(world: World, damage: str) -> None:
    revision = world.commit({"a.py": b"b"})
    app, fresh = state(world.app), world.stage_whole(revision)
    DAMAGES[damage](world.record / "tree", world.app)
    assert world.stage_whole(revision) == fresh
    assert state(world.app) == app


CHANGES: dict[str, Callable[[Path], None]] = {
    "written": lambda app: write_unseen(app / "by hand.txt"),
    "mode": lambda app: (app / "by hand.txt").chmod(0o600),
    "time": lambda app: os.utime(app / "by hand.txt", ns=(1, 1)),
    "gone": lambda app: (app / "by hand.txt").unlink(),
    "folder gone": lambda app: shutil.rmtree(app / "pkg/deep"),
    "added": lambda app: lay(app, "new/by hand.txt", b"new"),
    "to symlink": lambda app: become(app, "by hand.txt", "a.py"),
    "to folder": lambda app: become(app, "by hand.txt/a", b"new"),
    "folder to symlink": lambda app: become(app, "pkg", "nginx"),
    "folder to file": lambda app: become(app, "pkg", b"new"),
    "protected gone": lambda app: (app / ".env").unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_in_the_app_by_hand_is_copied_again(world: World, change: str) -> None:
    revision = world.commit({"a.py": b"b"})
    world.stage_whole(revision)
    CHANGES[change](world.app)
    kept = world.stage_whole(revision)
    world.done("discard")
    assert kept == world.stage_whole(revision)


# What the memory is worth


@pytest.mark.parametrize("memory", [b"", b"\xff", b"null", b"[1]", b'{"pkg/b.py": null}', b'{"pkg/b.py": []}'])
def test_a_memory_that_cannot_be_read_is_none(world: World, memory: bytes) -> None:
    revision = world.commit({"a.py": b"b"})
    fresh = world.stage_whole(revision)
    (world.record / "laid.json").write_bytes(memory)
    assert world.stage_whole(revision) == fresh


def test_a_copy_that_was_cut_off_is_made_again(world: World) -> None:
    lay(world.app, "large", b"x" * 9999)
    revision = world.commit({"a.py": b"b"})
    fresh = world.stage_whole(revision)
    (world.record / "tree/large").unlink()
    needed, _ = world.scan(revision, whole=True)
    words = words_of("stage", {**world.settings, "revision": revision, "whole": True})
    half = subprocess.run(
        words,
        input=world.blobs(needed),
        capture_output=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert plain_bytes(half.stderr) == b"stage: File too large: %b\n" % os.fsencode(world.app / "large")
    assert (world.record / "tree/large").stat().st_size == 4096
    assert world.run("apply", revision=revision).stderr == f"apply: {revision} was not staged before\n".encode()
    assert world.stage_whole(revision) == fresh


def test_a_stage_that_was_killed_leaves_the_next_one_right(world: World) -> None:
    first, revision = world.commit({"a.py": b"b"}), world.commit({"pkg/b.py": b"c"})
    world.stage_whole(first)
    lay(world.record / "tree", "new.py", b"new")
    world.scan(revision)
    words = words_of("stage", {**world.settings, "revision": revision, "whole": True})
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as killed:
        deadline = time.monotonic() + 20
        while (world.record / "tree/new.py").exists() and time.monotonic() < deadline:
            assert killed.poll() is None
        killed.kill()
    kept = world.stage_whole(revision)
    world.done("discard")
    assert kept == world.stage_whole(revision)


# What else comes between two stages


def test_an_update_right_after_an_undo_is_right(world: World) -> None:
    before = tree(world.app)
    for content in (b"b", b"c"):
        revision = world.commit({"a.py": content, "pkg/b.py": content})
        world.stage_whole(revision)
        world.done("apply", revision=revision)
        after = tree(world.app)
        world.done("undo")
    assert tree(world.app) == before
    kept = world.stage_whole(revision)
    world.done("discard")
    assert kept == world.stage_whole(revision)
    world.done("apply", revision=revision)
    assert tree(world.app) == after == {**before, "a.py": b"c", "pkg/b.py": b"c", MADE: b"w"}


def test_a_copy_without_a_proof_leaves_no_tree(world: World) -> None:
    world.stage_whole(world.commit({"a.py": b"b"}))
    world.update(world.commit({"a.py": b"c"}))
    assert tree(world.app)["a.py"] == b"c"
    assert not {"tree", "laid.json"} & {path.name for path in world.record.iterdir()}
