"""Clean: bytecode goes, and what lies in caches; nothing else does."""

import io
from pathlib import Path

import pytest

from deploy.inside import cleaning
from deploy.inside import tree as trees
from deploy.inside.message import ExpectedError
from deploy.message import unpack
from deploy.wording import text
from tests.inside.world import World, lay, tree


def test_clean_removes_bytecode_outside_protected_folders_and_counts_it(world: World) -> None:
    for name in ("a/__pycache__/a.cpython-311.pyc", "b/__pycache__/b.cpython-311.pyc.123", "c.pyc"):
        lay(world.app, name, b"")
    kept: dict[str, bytes | str] = dict.fromkeys((".venv/__pycache__/x.pyc", "userdata/y.pyc", "a/a.py"), b"")
    for name, content in kept.items():
        lay(world.app, name, content)
    assert world.done("clean") == b"2 __pycache__ folders and 3 .pyc files removed\n"
    assert tree(world.app) == kept


def test_clean_leaves_what_is_no_bytecode_and_its_folder(world: World) -> None:
    lay(world.app, "__pycache__/a.pyc", b"")
    lay(world.app, "__pycache__/notes", b"mine")
    assert world.done("clean") == b"0 __pycache__ folders and 1 .pyc file removed\n"
    assert tree(world.app) == {"__pycache__/notes": b"mine"}


def test_clean_does_not_follow_symlinks(world: World) -> None:
    lay(world.place, "outside/__pycache__/a.pyc", b"")
    (world.app / "link").symlink_to(world.place / "outside")
    (world.app / "__pycache__").symlink_to(world.place / "outside/__pycache__")
    world.done("clean")
    assert (world.place / "outside/__pycache__/a.pyc").exists()


def test_clean_leaves_bytecode_that_git_tracks(world: World) -> None:
    world.update(world.commit({"a.pyc": b"tracked", "__pycache__/b.pyc": b"tracked"}))
    world.done("clean")
    assert world.inspect()["drift"] == []


def test_clean_empties_cache_folders_but_leaves_their_folders(world: World) -> None:
    lay(world.place, "cache/a/b/1", b"")
    lay(world.place, "cache/2", b"")
    cache = str(world.place / "cache")
    said = world.done("clean", caches=[cache, "/nonexistent/cache"]).decode()
    assert said.splitlines()[1:] == [f"{cache}: 2 files removed"]
    assert (world.place / "cache/a/b").is_dir()


@pytest.mark.parametrize("cache", ["", "app", "app/userdata", "app/userdata/tmp"])
def test_clean_refuses_a_cache_that_holds_the_app_or_protected_files(world: World, cache: str) -> None:
    lay(world.app, "userdata/tmp/file", b"ours")
    lay(world.app, "a.pyc", b"")
    answer = world.run("clean", caches=[str(world.place / cache)])
    assert answer.returncode == 1
    assert b"is not emptied as a cache" in answer.stderr
    assert set(tree(world.app)) == {"userdata/tmp/file", "a.pyc"}


@pytest.mark.parametrize("name", ["app/a/__pycache__/a.cpython-311.pyc", "app/b.pyc", "cache/1"])
def test_a_file_that_is_still_there_afterwards_is_an_error_that_names_it(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(world.place, name, b"")
    settings = world.settings | {"caches": [str(world.place / "cache")]}
    for module in (cleaning, trees):
        monkeypatch.setattr(module, "remove", lambda _: True)
    with pytest.raises(ExpectedError) as raised:
        cleaning.clean(settings, io.BufferedReader(io.BytesIO()))
    assert text(unpack(str(raised.value))) == f"1 file cannot be removed, first {world.place}/{name}"


def test_what_the_app_writes_anew_meanwhile_is_no_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(world.app, "b.pyc", b"old")

    def replace(file: bytes) -> bool:
        path = Path(file.decode())
        path.with_suffix(".new").write_bytes(b"new")
        path.with_suffix(".new").replace(path)
        return True

    monkeypatch.setattr(cleaning, "remove", replace)
    cleaning.clean(world.settings, io.BufferedReader(io.BytesIO()))
    assert tree(world.app) == {"b.pyc": b"new"}
