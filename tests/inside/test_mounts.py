"""What is mounted into the app's folder: read, left alone, and refused where a release would have to touch it."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.inside.mounts import unescaped
from tests.inside.world import World

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root: it mounts")
Bind = Callable[[Path, Path], None]


@pytest.fixture
def bind() -> Iterator[Bind]:
    """Mount a file or a folder on another one."""
    mounted: list[Path] = []

    def mount(source: Path, place: Path) -> None:
        subprocess.run(["mount", "--bind", source, place], check=True)
        mounted.append(place)

    yield mount
    for place in reversed(mounted):
        subprocess.run(["umount", place], check=True)


def test_a_tracked_file_that_is_mounted_is_told_and_a_copy_of_other_bytes_refuses(world: World, bind: Bind) -> None:
    world.update(world.commit({"a b.py": b"old", "c.py": b"old"}))
    outside = world.place / "outside"
    outside.write_bytes(b"old")
    bind(outside, world.app / "a b.py")
    same = world.commit({"c.py": b"new"})
    assert world.inspect(same)["mounted"] == {}
    world.update(same)
    assert (world.app / "c.py").read_bytes() == b"new"

    other = world.commit({"a b.py": b"new"})
    assert world.inspect(other)["mounted"] == {"a b.py": ["a b.py"]}
    scanned = world.run("scan", lambda base: world.entries(other, base) + world.history(), revision=other)
    assert (scanned.returncode, scanned.stderr) == (
        1,
        b"scan: mounted into the container, and so not to be changed: a b.py\n",
    )
    assert outside.read_bytes() == b"old"


def test_in_a_new_container_a_mount_with_the_bytes_of_the_commit_is_left_alone(world: World, bind: Bind) -> None:
    outside = world.place / "outside"
    outside.write_bytes(b"a")
    (world.app / "a.py").touch()
    bind(outside, world.app / "a.py")
    before = outside.stat().st_ctime_ns
    world.update(world.commit({"a.py": b"a", "b.py": b"b"}))
    assert ((world.app / "b.py").read_bytes(), outside.stat().st_ctime_ns) == (b"b", before)


def test_a_file_that_leaves_a_mounted_folder_is_told_and_stays(world: World, bind: Bind) -> None:
    world.update(world.commit({"docs/a.md": b"a", "b.py": b"b"}))
    outside = world.place / "outside"
    outside.mkdir()
    (outside / "a.md").write_bytes(b"a")
    bind(outside, world.app / "docs")
    gone = world.commit({}, "docs")
    assert world.inspect(gone)["mounted"] == {"docs": ["docs/a.md"]}
    assert world.run("scan", lambda base: world.entries(gone, base) + world.history(), revision=gone).returncode == 1
    assert (outside / "a.md").read_bytes() == b"a"


def test_what_an_update_spares_may_be_mounted(world: World, bind: Bind) -> None:
    (world.app / ".env").touch()
    outside = world.place / "outside"
    outside.write_bytes(b"by hand")
    bind(outside, world.app / ".env")
    (world.app / "notes").touch()
    bind(outside, world.app / "notes")
    revision = world.commit({"a.py": b"a", "notes": b"tracked"})
    assert world.inspect(revision, exclude=["notes"])["mounted"] == {}
    world.update(revision, exclude=["notes"])
    assert (world.app / "notes").read_bytes() == b"by hand"


def test_bytecode_in_a_mounted_folder_is_not_ours_to_clean(world: World, bind: Bind) -> None:
    outside = world.place / "outside"
    (outside / "__pycache__").mkdir(parents=True)
    (outside / "__pycache__/a.pyc").write_bytes(b"")
    (world.app / "lib").mkdir()
    bind(outside, world.app / "lib")
    (world.app / "b.pyc").write_bytes(b"")
    assert world.done("clean") == b"0 __pycache__ folders and 1 .pyc file removed\n"
    assert (outside / "__pycache__/a.pyc").exists()


def test_a_folder_where_nobody_can_write_is_told(world: World, bind: Bind) -> None:
    assert world.inspect()["readonly"] == []
    bind(world.app, world.app)
    subprocess.run(["mount", "-o", "remount,ro,bind", world.app], check=True)
    assert world.inspect()["readonly"] == [str(world.app)]


def test_a_name_with_blanks_is_read_as_the_kernel_writes_it() -> None:
    assert unescaped(rb"/app/a\040b\134c") == rb"/app/a b\c"


@pytest.fixture
def clone(world: World, bind: Bind) -> Path:
    """The clone on the host, mounted as the app's folder, with owners and modes of the host's."""
    place = world.place / "clone"
    place.mkdir()
    bind(place, world.app)
    return place


def checked_out(clone: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (clone / name).write_bytes(content)
        (clone / name).chmod(0o664)


def test_a_clone_that_has_the_commit_is_written_down_and_nothing_in_it_is_touched(world: World, clone: Path) -> None:
    revision = world.commit({"a.py": b"a", "b.py": b"b"})
    checked_out(clone, {"a.py": b"a", "b.py": b"b"})
    (clone / "left over.py").write_bytes(b"once tracked")
    before = {path.name: path.stat().st_ctime_ns for path in clone.iterdir()}
    assert world.update(revision, mounted=True) == "0 files written (0 KiB), 0 removed, 2 unchanged\n"
    assert {path.name: path.stat().st_ctime_ns for path in clone.iterdir()} == before
    assert world.inspect(revision)["record"]["revision"] == revision
    assert (world.inspect(revision)["drift"], world.inspect(revision)["differs"]) == ([], {})


def test_a_clone_that_has_not_the_commit_is_refused(world: World, clone: Path) -> None:
    revision = world.commit({"a.py": b"a"})
    checked_out(clone, {"a.py": b"other"})
    scanned = world.run(
        "scan", lambda base: world.entries(revision, base) + world.history(), revision=revision, mounted=True
    )
    assert (scanned.returncode, (clone / "a.py").read_bytes()) == (1, b"other")
