"""A copy: the app's folder is made equal to a commit, and what git does not know is saved before it goes."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inside.world import DERIVED, MADE, SOURCE, World, lay, tree

# A first copy


def test_a_first_copy_writes_every_file_with_gits_modes(world: World) -> None:
    files: dict[str | bytes, bytes | str] = {"wsgi.py": b"app", "bin/run*": b"#!/bin/sh\n", "pkg/link": "../wsgi.py"}
    said = world.update(world.commit(files))
    assert tree(world.app) == files
    assert said == "3 files written (1 KiB), 0 removed, 0 unchanged\n"


def test_submodules_are_ignored(world: World) -> None:
    world.commit({"a.py": b"a"})
    world.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor")
    world.git("commit", "-q", "-m", "a submodule")
    world.update(world.git("rev-parse", "HEAD").decode().strip())
    assert tree(world.app) == {"a.py": b"a"}


def test_a_repository_may_name_its_blobs_by_sha256(world: World) -> None:
    shutil.rmtree(world.repo)
    world.git("init", "-q", "--object-format=sha256", str(world.repo), at=world.place)
    lay(world.app, "a.py", b"mine")
    world.update(world.commit({"a.py": b"a", SOURCE: b"workers = 1"}), derived=DERIVED)
    assert tree(world.app) == {"a.py": b"a", SOURCE: b"workers = 1", MADE: b"workers = 1"}
    assert (world.saved, world.inspect()["drift"]) == ({"a.py": b"mine"}, [])


# What changes


def test_a_second_copy_writes_only_what_differs(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "b.py": b"b"}))
    said = world.update(world.commit({"a.py": b"c" * 5000}))
    assert said == "1 file written (5 KiB), 0 removed, 1 unchanged\n"


def test_an_unchanged_app_needs_nothing(world: World) -> None:
    revision = world.commit({"a.py": b"a", "b*": b"b", "c": "a.py"})
    world.update(revision)
    before = {path: path.lstat().st_ino for path in world.app.rglob("*")}
    assert world.update(revision) == "0 files written (0 KiB), 0 removed, 3 unchanged\n"
    assert {path: path.lstat().st_ino for path in world.app.rglob("*")} == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"changed"),
        lambda file: file.chmod(0o755),
        lambda file: file.chmod(0o600),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.symlink_to("b.py")),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: (file.unlink(), subprocess.run(["mkfifo", file], check=True)),
        pytest.param(
            lambda file: os.chown(file, 4321, 4321),
            marks=pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away"),
        ),
    ],
    ids=["bytes", "executable", "unreadable", "missing", "symlink", "folder", "fifo", "owner"],
)
def test_a_file_that_was_changed_in_the_container_is_mended(world: World, damage: Callable[[Path], None]) -> None:
    revision = world.commit({"a.py": b"a", "b.py": b"b"})
    world.update(revision)
    damage(world.app / "a.py")
    said = world.update(revision)
    status = (world.app / "a.py").lstat()
    assert said.startswith("1 file written")
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o644, world.app.stat().st_uid)
    assert tree(world.app) == {"a.py": b"a", "b.py": b"b"}


def test_the_same_content_is_needed_once_and_written_everywhere(world: World) -> None:
    revision = world.commit({"a.py": b"same", "b/c.py": b"same"})
    needed, _ = world.scan(revision)
    assert len(needed) == 1
    world.update(revision)
    assert tree(world.app) == {"a.py": b"same", "b/c.py": b"same"}


def test_a_file_is_replaced_and_not_written_into(world: World) -> None:
    world.update(world.commit({"a.py": b"old"}))
    with (world.app / "a.py").open("rb") as still_open:
        world.update(world.commit({"a.py": b"new"}))
        assert still_open.read() == b"old"


# What disappears


def test_a_file_deleted_upstream_disappears_with_its_folder(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "old/deep/b.py": b"b"}))
    said = world.update(world.commit({}, "old"))
    assert said == "0 files written (0 KiB), 1 removed, 1 unchanged\n"
    assert [path.name for path in world.app.iterdir()] == ["a.py"]


def test_the_bytecode_of_removed_modules_does_not_keep_their_folder(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "old/b.py": b"b"}))
    lay(world.app, "old/__pycache__/b.cpython-311.pyc", b"code")
    world.update(world.commit({}, "old"))
    assert not (world.app / "old").exists()


def test_a_folder_with_anything_else_in_it_stays(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "old/b.py": b"b"}))
    lay(world.app, "old/notes", b"mine")
    world.update(world.commit({}, "old"))
    assert tree(world.app) == {"a.py": b"a", "old/notes": b"mine"}


def test_without_a_record_what_history_had_disappears(world: World) -> None:
    lay(world.app, "old.py", b"old")
    world.commit({"old.py": b"old", "a.py": b"a"})
    world.update(world.commit({}, "old.py"))
    assert tree(world.app) == {"a.py": b"a"}


def test_without_a_record_what_git_never_had_stays(world: World) -> None:
    lay(world.app, "mine.py", b"mine")
    world.update(world.commit({"a.py": b"a"}))
    assert tree(world.app) == {"a.py": b"a", "mine.py": b"mine"}


def test_with_a_record_only_what_was_copied_disappears(world: World) -> None:
    world.commit({"old.py": b"old", "a.py": b"a"})
    revision = world.commit({}, "old.py")
    world.update(revision)
    lay(world.app, "old.py", b"written by somebody since")
    world.update(revision)
    assert (world.app / "old.py").exists()


def test_a_folder_where_a_deleted_file_was_stays(world: World) -> None:
    world.update(world.commit({"a.py": b"a", "old": b"old"}))
    (world.app / "old").unlink()
    lay(world.app, "old/mine", b"mine")
    world.update(world.commit({}, "old"))
    assert tree(world.app) == {"a.py": b"a", "old/mine": b"mine"}


# What git does not know


def test_content_that_git_does_not_know_is_saved_before_it_is_overwritten(world: World) -> None:
    lay(world.app, "a.py", b"patched by hand")
    said = world.update(world.commit({"a.py": b"a"}))
    assert world.saved == {"a.py": b"patched by hand"}
    assert "saved: a.py (git does not know its content)\n" in said


def test_content_that_git_does_not_know_is_saved_before_it_is_removed(world: World) -> None:
    lay(world.app, "old.py", b"patched by hand")
    world.commit({"old.py": b"old", "a.py": b"a"})
    world.update(world.commit({}, "old.py"))
    assert world.saved == {"old.py": b"patched by hand"}


def test_content_of_an_older_commit_is_not_saved(world: World) -> None:
    lay(world.app, "a.py", b"old")
    world.commit({"a.py": b"old"})
    said = world.update(world.commit({"a.py": b"new"}))
    assert (world.saved, "saved" in said) == ({}, False)


def test_a_saved_path_is_shown_on_one_line(world: World) -> None:
    lay(world.app, b"a\n\x1b[31m\xff", b"mine")
    said = world.update(world.commit({b"a\n\x1b[31m\xff": b"git"}))
    assert said.splitlines()[1] == "saved: a\\n\\x1b[31m\\xff (git does not know its content)"


# Files made from tracked ones


def test_a_derived_file_is_made_when_it_is_missing(world: World) -> None:
    said = world.update(world.commit({SOURCE: b"workers = 1"}), derived=DERIVED)
    assert (world.app / MADE).read_bytes() == b"workers = 1"
    assert f"made: {MADE} from {SOURCE}\n" in said


def test_a_derived_file_is_refreshed_when_its_source_changed(world: World) -> None:
    world.update(world.commit({SOURCE: b"workers = 1"}), derived=DERIVED)
    said = world.update(world.commit({SOURCE: b"workers = 2"}), derived=DERIVED)
    assert (world.app / MADE).read_bytes() == b"workers = 2"
    assert f"refreshed: {MADE} from {SOURCE}\n" in said


def test_without_a_record_a_derived_file_that_git_knows_is_refreshed(world: World) -> None:
    lay(world.app, MADE, b"workers = 1")
    world.commit({SOURCE: b"workers = 1"})
    world.update(world.commit({SOURCE: b"workers = 2"}), derived=DERIVED)
    assert (world.app / MADE).read_bytes() == b"workers = 2"


def test_a_derived_file_that_equals_the_source_beside_it_is_refreshed_though_history_was_cut_off(world: World) -> None:
    lay(world.app, MADE, b"workers = 0")
    lay(world.app, SOURCE, b"workers = 0")
    said = world.update(world.commit({SOURCE: b"workers = 2"}), derived=DERIVED, shallow=True)
    assert f"refreshed: {MADE} from {SOURCE}\n" in said


def test_where_history_was_cut_off_a_derived_file_is_not_said_to_be_changed_by_hand(world: World) -> None:
    lay(world.app, MADE, b"workers = 9")
    lay(world.app, SOURCE, b"workers = 0")
    said = world.update(world.commit({SOURCE: b"workers = 2"}), derived=DERIVED, shallow=True)
    assert f"kept: {MADE} may have been changed by hand: the clone's history is cut off\n" in said


def test_a_derived_file_that_equals_its_source_is_left_alone(world: World) -> None:
    revision = world.commit({SOURCE: b"workers = 1"})
    world.update(revision, derived=DERIVED)
    said = world.update(revision, derived=DERIVED)
    assert said == "0 files written (0 KiB), 0 removed, 1 unchanged\n"


def test_a_derived_file_changed_by_hand_is_kept_and_named_every_time(world: World) -> None:
    world.update(world.commit({SOURCE: b"workers = 1"}), derived=DERIVED)
    lay(world.app, MADE, b"workers = 9")
    for number in (2, 3):
        said = world.update(world.commit({SOURCE: b"workers = %d" % number}), derived=DERIVED)
        assert f"kept: {MADE} was changed by hand\n" in said
        assert world.saved == {}
    assert (world.app / MADE).read_bytes() == b"workers = 9"


def test_a_derived_file_changed_since_the_scan_is_kept(world: World) -> None:
    world.update(world.commit({SOURCE: b"workers = 1"}), derived=DERIVED)
    revision = world.commit({SOURCE: b"workers = 2"})
    needed, _ = world.scan(revision, derived=DERIVED)
    lay(world.app, MADE, b"workers = 9")
    world.done("stage", world.blobs(needed), revision=revision, derived=DERIVED)
    world.done("apply", revision=revision, derived=DERIVED)
    assert (world.app / MADE).read_bytes() == b"workers = 9"


def test_a_derived_file_that_is_a_symlink_to_its_source_is_left_alone(world: World) -> None:
    (world.app / MADE).symlink_to(SOURCE)
    said = world.update(world.commit({SOURCE: b"workers = 1"}), derived=DERIVED)
    assert (world.app / MADE).is_symlink()
    assert said == "1 file written (1 KiB), 0 removed, 0 unchanged\n"


def test_a_derived_file_that_git_once_tracked_is_not_removed(world: World) -> None:
    lay(world.app, MADE, b"workers = 9")
    world.commit({SOURCE: b"workers = 1", MADE: b"tracked"})
    world.update(world.commit({}, MADE), derived=DERIVED)
    assert (world.app / MADE).read_bytes() == b"workers = 9"


def test_a_derived_file_whose_source_left_stays(world: World) -> None:
    world.update(world.commit({SOURCE: b"workers = 1", "a.py": b""}), derived=DERIVED)
    world.update(world.commit({}, SOURCE), derived=DERIVED)
    assert (world.app / MADE).read_bytes() == b"workers = 1"


# What stops a copy


def test_an_empty_commit_is_refused_as_it_would_remove_everything(world: World) -> None:
    answer = world.run("scan", b"\0\0\0", revision="1" * 40)
    assert answer.stderr == b"scan: the commit has no files\n"


def test_nothing_is_applied_without_a_scan(world: World) -> None:
    assert world.run("apply", b"", revision="1" * 40).stderr == b"apply: nothing was scanned before\n"


def test_a_scan_of_another_revision_is_not_applied(world: World) -> None:
    first, second = world.commit({"a.py": b"a"}), world.commit({"a.py": b"b"})
    world.scan(first)
    answer = world.run("apply", b"", revision=second)
    assert answer.stderr == f"apply: scanned was {first}, not {second}\n".encode()


def test_a_file_that_changes_during_the_copy_fails_it(world: World) -> None:
    revision = world.commit({"a.py": b"a", "b.py": b"b"})
    world.update(revision)
    world.scan(revision)
    world.done("stage", revision=revision)
    lay(world.app, "a.py", b"changed after the scan")
    answer = world.run("apply", b"", revision=revision)
    assert answer.stderr == b"apply: after the copy 1 file not as in the commit: a.py\n"
    assert world.recorded()["complete"] is False


def test_an_error_of_the_system_is_one_line_and_leaves_no_temporary_file(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    needed, _ = world.scan(revision)
    world.done("stage", world.blobs(needed), revision=revision)
    (world.app / "a.py").mkdir()
    answer = world.run("apply", revision=revision)
    assert answer.returncode == 1
    assert answer.stderr.startswith(b"apply: Is a directory: ")
    assert answer.stderr.count(b"\n") == 1
    assert [path.name for path in world.app.iterdir()] == ["a.py"]
