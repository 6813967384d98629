"""The app's folder: its names, owners and modes, what is never touched in it, and what has to make way."""

import os
import stat
from pathlib import Path

import pytest

from tests.inside.world import World, lay, tree


@pytest.mark.parametrize(
    "name",
    [
        b"\xe4\xb8\xad\xe6\x96\x87/\xe6\x96\x87.py",
        b" a  b ",
        b"line\nbreak",
        b"\xff\xfe/\x80",
        b'it\'s "$x" \\ [a-b]?',
        b"-n",
    ],
)
def test_a_path_may_hold_any_byte(world: World, name: bytes) -> None:
    world.update(world.commit({name: b"x"}))
    assert Path(os.fsdecode(os.fsencode(world.app) + b"/" + name)).read_bytes() == b"x"
    assert world.inspect()["drift"] == []


def test_a_change_is_seen_whatever_the_time_that_is_put_on_it(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    time = (world.app / "a.py").stat().st_mtime_ns
    (world.app / "a.py").write_bytes(b"b")
    os.utime(world.app / "a.py", ns=(time, time))
    assert world.inspect()["drift"] == ["a.py"]


def test_temporary_files_of_a_killed_copy_are_removed(world: World) -> None:
    lay(world.app, "pkg/.hot-update-0123456789abcdef", b"half")
    lay(world.app, "userdata/.hot-update-0123456789abcdef", b"ours")
    world.update(world.commit({"pkg/a.py": b"a"}))
    assert tree(world.app) == {"pkg/a.py": b"a", "userdata/.hot-update-0123456789abcdef": b"ours"}


def test_a_symlink_to_a_folder_is_a_file_of_the_commit(world: World) -> None:
    world.update(world.commit({"pkg/a.py": b"a", "link": "pkg"}))
    listed = world.done("list", b"40").split(b"\0")[:-1]
    assert {line.split(b"\t")[1]: line[:6] for line in listed} == {b"pkg/a.py": b"100644", b"link": b"120000"}


# Owners and modes


def test_files_belong_to_the_owner_of_the_app(world: World) -> None:
    if os.getuid() == 0:
        os.chown(world.app, 1234, 1235)
    world.update(world.commit({"a/b.py": b"", "a/l": "b.py"}))
    expected = world.app.stat().st_uid, world.app.stat().st_gid
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in world.app.rglob("*")}
    assert owners == {expected}


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_files_belong_to_the_user_of_the_settings(world: World) -> None:
    world.update(world.commit({"a.py": b""}), user="1300:1301")
    assert ((world.app / "a.py").stat().st_uid, (world.app / "a.py").stat().st_gid) == (1300, 1301)


def test_folders_and_files_are_everyones_to_read_whatever_the_umask(world: World) -> None:
    before = os.umask(0o077)
    try:
        world.update(world.commit({"a/b/c.py": b"", "a/run*": b""}))
    finally:
        os.umask(before)
    names = ("a", "a/b", "a/b/c.py", "a/run")
    assert [stat.S_IMODE((world.app / name).stat().st_mode) for name in names] == [0o755, 0o755, 0o644, 0o755]


def test_an_unknown_user_is_one_line_on_stderr(world: World) -> None:
    revision = world.commit({"a.py": b""})
    answer = world.run("scan", world.entries(revision) + b"\0", revision=revision, user="nobody-here")
    assert answer.returncode == 1
    expected = b"scan: the container has no user nobody-here: app.user takes a name, or uid:gid\n"
    assert answer.stderr == expected


# What is never touched


def test_protected_paths_are_never_written(world: World) -> None:
    lay(world.app, ".env", b"secret")
    lay(world.app, "userdata/file", b"ours")
    world.update(world.commit({".env": b"git", "userdata/file": b"git", ".venv/x": b"git", "a.py": b"a"}))
    assert tree(world.app) == {".env": b"secret", "userdata/file": b"ours", "a.py": b"a"}


def test_protected_paths_are_never_removed(world: World) -> None:
    lay(world.app, "userdata/file", b"ours")
    world.commit({"userdata/file": b"git", "a.py": b"a"})
    world.update(world.commit({}, "userdata"))
    assert (world.app / "userdata/file").read_bytes() == b"ours"


def test_excluded_paths_are_neither_written_nor_removed(world: World) -> None:
    world.update(world.commit({"docs/a.md": b"1", "docs/b/c.md": b"1", "a.md": b"1", "x.py": b"1"}))
    revision = world.commit({"docs/a.md": b"2", "x.py": b"2"}, "docs/b/c.md", "a.md")
    world.update(revision, exclude=["docs"])
    assert tree(world.app) == {"docs/a.md": b"1", "docs/b/c.md": b"1", "x.py": b"2"}


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("*.md", ["top.md"]),
        ("**/*.md", ["a/b/c.md", "a/d.md", "top.md"]),
        ("a/**", ["a/b/c.md", "a/d.md"]),
        ("a/*.md", ["a/d.md"]),
        ("a/**/c.md", ["a/b/c.md"]),
        ("a/?.md", ["a/d.md"]),
        ("a/[!x].md", ["a/d.md"]),
        ("a", ["a/b/c.md", "a/d.md"]),
        ("op.md", []),
    ],
)
def test_excludes_mean_what_gits_glob_pathspecs_mean(world: World, pattern: str, kept: list[str]) -> None:
    revision = world.commit({"a/b/c.md": b"1", "a/d.md": b"1", "top.md": b"1", "x.py": b"1"})
    listed = world.git("ls-files", "-z", f":(glob){pattern}").decode().split("\0")[:-1]
    world.update(revision, exclude=[pattern])
    missing = sorted({"a/b/c.md", "a/d.md", "top.md", "x.py"} - set(tree(world.app)))
    assert missing == kept == listed


def test_nothing_is_written_through_a_symlink(world: World) -> None:
    outside = world.place / "outside"
    lay(outside, "a.py", b"outside")
    (world.app / "pkg").symlink_to(outside)
    world.update(world.commit({"pkg/a.py": b"a"}))
    assert (tree(outside), tree(world.app)) == ({"a.py": b"outside"}, {"pkg/a.py": b"a"})
    assert world.saved == {"pkg": str(outside)}


def test_nothing_is_removed_through_a_symlink(world: World) -> None:
    outside = world.place / "outside"
    lay(outside, "old.log", b"customers'")
    (world.app / "logs").symlink_to(outside)
    world.commit({"logs/old.log": b"x", "a.py": b"a"})
    world.update(world.commit({}, "logs"))
    assert tree(outside) == {"old.log": b"customers'"}


# What is in the way


def test_a_file_where_a_folder_is_needed_is_saved_and_goes(world: World) -> None:
    lay(world.app, "pkg", b"mine")
    world.update(world.commit({"pkg/a.py": b"a"}))
    assert (tree(world.app), world.saved) == ({"pkg/a.py": b"a"}, {"pkg": b"mine"})


def test_a_folder_where_a_file_is_needed_is_saved_and_goes(world: World) -> None:
    lay(world.app, "pkg/deep/one", b"mine")
    lay(world.app, "pkg/two", "somewhere")
    (world.app / "pkg/empty").mkdir()
    said = world.update(world.commit({"pkg": b"file"}))
    assert (tree(world.app), world.saved) == ({"pkg": b"file"}, {"pkg/deep/one": b"mine", "pkg/two": "somewhere"})
    assert said.startswith("1 file written (1 KiB), 2 removed")


def test_an_empty_folder_where_a_file_is_needed_goes(world: World) -> None:
    (world.app / "pkg").mkdir()
    world.update(world.commit({"pkg": b"file"}))
    assert tree(world.app) == {"pkg": b"file"}


def test_a_file_that_becomes_a_folder_upstream_and_back_is_followed(world: World) -> None:
    first = world.commit({"x": b"file", "y/a": b"a", "y/b": b"b", "z": "x"})
    world.update(first)
    second = world.commit({}, "x", "y", "z")
    second = world.commit({"x/a": b"a", "y": b"file", "z/a": b"a"})
    world.update(second)
    assert tree(world.app) == {"x/a": b"a", "y": b"file", "z/a": b"a"}
    world.update(first)
    assert tree(world.app) == {"x": b"file", "y/a": b"a", "y/b": b"b", "z": "x"}


def test_protected_files_in_the_way_stop_the_copy_before_anything_changed(world: World) -> None:
    lay(world.app, "data/keep/file", b"ours")
    revision = world.commit({"data": b"file", "a.py": b"a"})
    sent = world.entries(revision) + world.history()
    answer = world.run("scan", sent, revision=revision, protected=["data/keep"])
    expected = b"scan: data has to make room for data, but data/keep in it is protected\n"
    assert (answer.returncode, answer.stderr) == (1, expected)
    assert tree(world.app) == {"data/keep/file": b"ours"}
