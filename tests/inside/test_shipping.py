"""What is built from sources and lies in a folder of its own: brought there whole, its pages last, and brought back."""

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.inside.shipping import order
from tests.inside.world import Answer, World

OLD, NEW, NEWER = "a" * 40, "b" * 40, "c" * 40
BUILD = {"index.html": b"old", "assets/main-1.js": b"one", "assets/logo.svg": b"logo"}
NEXT = {"index.html": b"new", "assets/main-2.js": b"two", "assets/logo.svg": b"logo"}


@pytest.fixture
def front(world: World) -> World:
    """A world that runs a release, and serves what its image built."""
    world.settings["built"] = {"frontend": {"path": "frontend/dist", "sources": ["frontend/**"]}}
    world.update(world.commit({"frontend/main.js": b"1", "a.py": b"a"}))
    for name, content in BUILD.items():
        file = world.app / "frontend/dist" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return world


def tar_of(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def ship(world: World, files: Mapping[str, bytes], digest: str = NEW, run: str = "run-1", keep: int = 3600) -> None:
    answer = send(world, tar_of(files), digest, run, keep)
    assert (answer.returncode, answer.stderr) == (0, b"")


def send(world: World, tar: bytes, digest: str = NEW, run: str = "run-1", keep: int = 0, size: int = 0) -> Answer:
    return world.run("ship", tar, name="frontend", digest=digest, keep=keep, run=run, bytes=size or len(tar))


def unship(world: World, run: str = "run-1") -> str:
    return world.done("unship", name="frontend", digest=NEW, keep=3600, run=run).decode()


def served(world: World) -> dict[str, bytes]:
    folder = world.app / "frontend/dist"
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def states(world: World) -> dict[str, os.stat_result]:
    folder = world.app / "frontend/dist"
    found = {str(file.relative_to(folder)): file.stat() for file in folder.rglob("*") if file.is_file()}
    return {name: (one.st_mode, one.st_uid, one.st_mtime_ns, one.st_size) for name, one in found.items()}  # type: ignore[misc]


def built(world: World) -> Any:
    return world.inspect()["built"]


def test_what_comes_is_there_and_what_was_there_stays_for_open_pages(front: World) -> None:
    ship(front, NEXT)
    assert served(front) == {**BUILD, **NEXT}
    assert built(front) == {"frontend": NEW}


def test_it_goes_again_byte_for_byte(front: World) -> None:
    before = states(front)
    ship(front, {**NEXT, "deep/er/page.html": b"page"})
    unship(front)
    assert (served(front), states(front)) == (BUILD, before)
    assert not (front.app / "frontend/dist/deep").exists()
    assert built(front) == {"frontend": ""}


def test_files_that_a_build_brought_go_once_no_open_page_may_want_them(front: World) -> None:
    ship(front, NEXT)
    ship(front, {"index.html": b"newer"}, NEWER, "run-2", keep=0)
    # What the image had built nobody brought: it stays.
    assert served(front) == {"index.html": b"newer", "assets/main-1.js": b"one"}
    unship(front, "run-2")
    assert served(front) == {**BUILD, **NEXT}
    assert built(front) == {"frontend": NEW}


def test_pages_come_after_what_they_load_and_the_first_page_last(front: World) -> None:
    names = [b"index.html", b"about.html", b"zoom.js", b"assets/index.html", b"assets/main.js"]
    assert sorted(names, key=order) == [names[4], names[2], names[1], names[3], names[0]]
    ship(front, {"zz.js": b"z", "about.html": b"about", **NEXT})
    changed = {
        name: (front.app / "frontend/dist" / name).stat().st_ctime_ns for name in ("zz.js", "about.html", "index.html")
    }
    assert list(changed.values()) == sorted(changed.values())


@pytest.mark.parametrize("size", [100, 700, 1500])
def test_what_is_cut_off_on_its_way_touches_nothing(front: World, size: int) -> None:
    whole = tar_of(NEXT)
    answer = send(front, whole[:size], size=len(whole))
    assert (answer.returncode, served(front), built(front)) == (1, BUILD, {"frontend": ""})


def test_nothing_is_written_outside_of_its_folder(front: World) -> None:
    for name in ("../evil", "/evil", "assets/../../evil"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(name))
        answer = send(front, packed.getvalue())
        assert (answer.returncode, served(front)) == (1, BUILD)


def test_a_link_is_not_shipped(front: World) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        link = tarfile.TarInfo("./link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert send(front, packed.getvalue()).returncode == 1
    assert served(front) == BUILD


def test_the_digest_that_lies_in_a_build_is_not_served(front: World) -> None:
    ship(front, {**NEXT, ".sources": NEW.encode()})
    assert ".sources" not in served(front)


def test_what_is_there_is_kept_as_it_can_be_shipped_again(front: World) -> None:
    packed = front.done("pack", name="frontend", digest=NEW, keep=0)
    ship(front, {"index.html": b"new"}, keep=0)
    assert send(front, packed, OLD, "run-3").returncode == 0
    assert served(front) == BUILD


def test_an_undo_of_another_run_touches_nothing(front: World) -> None:
    ship(front, NEXT)
    assert "nothing was shipped" in unship(front, "run-0")
    assert served(front) == {**BUILD, **NEXT}


def test_a_copy_that_leaves_the_sources_tells_what_they_were_built_from(front: World) -> None:
    digests = {"frontend": {"target": NEW, "running": NEW}}
    front.update(front.commit({"a.py": b"b"}), digests=digests)
    assert built(front) == {"frontend": NEW}


def test_a_first_copy_writes_every_file_and_tells_what_the_image_was_built_from(front: World) -> None:
    for file in front.record.glob("*.json"):
        file.unlink()
    front.update(front.commit({"a.py": b"b"}), digests={"frontend": {"target": NEW, "running": ""}})
    assert built(front) == {"frontend": NEW}


def test_an_image_without_the_sources_tells_nothing_against_the_build(front: World) -> None:
    for file in (*front.record.glob("*.json"), front.app / "frontend/main.js"):
        file.unlink()
    front.update(front.commit({"a.py": b"b"}), digests={"frontend": {"target": NEW, "running": ""}})
    assert built(front) == {"frontend": NEW}


@pytest.mark.parametrize(("running", "told"), [(OLD, OLD), ("", "?")])
def test_a_copy_that_changes_the_sources_tells_that_it_was_other_ones(front: World, running: str, told: str) -> None:
    digests = {"frontend": {"target": NEW, "running": running}}
    front.update(front.commit({"frontend/main.js": b"2"}), digests=digests)
    assert built(front) == {"frontend": told}


def test_what_is_damaged_of_it_is_not_trusted(front: World) -> None:
    ship(front, NEXT)
    known = json.dumps({"builds": {"frontend": {"digest": NEW, "files": ["../../evil"], "left": {}}}})
    (front.record / "built.json").write_text(known, encoding="utf-8")
    assert built(front) == {"frontend": ""}
    (front.record / "shipped.json").write_text("{", encoding="utf-8")
    answer = front.run("unship", name="frontend", digest=NEW, keep=0)
    assert (answer.returncode, b"damaged" in answer.stderr) == (1, True)


def test_a_folder_that_is_not_there_is_not_told(world: World, tmp_path: Path) -> None:
    world.settings["built"] = {"frontend": {"path": "frontend/dist", "sources": ["frontend/**"]}}
    world.update(world.commit({"a.py": b"a"}))
    assert built(world) == {}
