"""The program inside the container, run as the container runs it, on temporary folders and real git."""

import ast
import base64
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.inside import LOADER, program, variables

PROGRAM = program().encode() + b"\n"
SOURCES = json.loads(zlib.decompress(base64.b64decode(PROGRAM)))
GIT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
SOURCE, MADE = "nginx/gunicorn.py", "gunicorn.conf.py"
DERIVED = {MADE: SOURCE}
Answer = subprocess.CompletedProcess[bytes]
# What a command gets: bytes, or those for the base that it asks for.
Sent = bytes | Callable[[str], bytes]


def words_of(command: str, settings: dict[str, Any], *flags: str) -> list[str]:
    digest = variables()["inside_digest"]
    return [sys.executable, "-I", *flags, "-c", LOADER, digest, command, json.dumps(settings)]


def inside(command: str, settings: dict[str, Any], sent: Sent = b"", *flags: str) -> Answer:
    """Run a command and send it what it asks for; its output begins after that."""
    words = words_of(command, settings, *flags)
    pipe = subprocess.PIPE
    with subprocess.Popen(words, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline() == b"send\n":
            process.stdin.write(PROGRAM)
        asked = process.stdout.readline()
        if callable(sent):
            sent = sent(asked.decode().strip())
        output, complaint = process.communicate(sent, timeout=120)
    output = output if asked == b".\n" else output.partition(b".\n")[2]
    return Answer(words, process.returncode, output, complaint)


@dataclass
class World:
    """A repository, an app's folder, and the host's half of an update."""

    place: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.repo, self.app, self.record = self.place / "repo", self.place / "app", self.place / "record"
        self.app.mkdir(parents=True)
        self.git("init", "-q", str(self.repo), at=self.place)
        self.settings = {
            "app": str(self.app),
            "record": str(self.record),
            "protected": [".env", ".venv", "userdata"],
            "derived": {},
            "user": "",
            "server": "gunicorn-inside-test",
            "flask": "/app/.venv/bin/flask-inside-test",
            "caches": [],
            "migrations": "migrations",
            "installed": {},
            "run": "run-1",
            "overridden": {},
            "need_bytes": 0,
            "min_free_mib": 0,
            "whole": False,
            "scratch": ["userdata"],
            "known": [],
        }

    def git(self, *words: str, sent: bytes = b"", at: Path | None = None) -> bytes:
        command = ["git", "-C", str(at or self.repo), *words]
        return subprocess.run(command, input=sent, stdout=subprocess.PIPE, check=True, env=GIT).stdout

    def commit(self, files: dict[str | bytes, bytes | str], *removed: str) -> str:
        """Commit files: bytes are content, a text is a symlink's target; a name that ends with * is executable."""
        for gone in removed:
            path = self.repo / gone
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        for name, content in files.items():
            lay(self.repo, name, content)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", "a release")
        return self.git("rev-parse", "HEAD").decode().strip()

    def entries(self, revision: str, base: str = "") -> bytes:
        words = ("diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev")
        empty_tree = self.git("hash-object", "-t", "tree", "--stdin").decode().strip()
        return base.encode() + b"\0" + self.git(*words, base or empty_tree, revision) + b"\0"

    def history(self) -> bytes:
        listed = self.git("log", "--format=", "--name-only", "--no-renames", "-m", "-z", "HEAD")
        return b"".join(path + b"\0" for path in listed.split(b"\0") if path) + b"\0"

    def blobs(self, ids: list[str]) -> bytes:
        return self.git("cat-file", "--batch", sent="".join(f"{blob}\n" for blob in ids).encode())

    def run(self, command: str, sent: Sent = b"", **changes: Any) -> Answer:
        return inside(command, {**self.settings, **changes}, sent)

    def done(self, command: str, sent: Sent = b"", **changes: Any) -> bytes:
        answer = self.run(command, sent, **changes)
        assert (answer.returncode, answer.stderr) == (0, b"")
        return answer.stdout

    def inspect(self, revision: str = "", **changes: Any) -> dict[str, Any]:
        """What inspect says, asked for a revision with its migrations' blobs."""
        blobs = self.migrations(revision) if revision else b""
        found: dict[str, Any] = json.loads(
            self.done("inspect", lambda base: self.entries(revision, base) + blobs if revision else b"\0\0", **changes)
        )
        return found

    def migrations(self, revision: str) -> bytes:
        listed = self.git("ls-tree", "-r", "-z", "--object-only", revision, "migrations").decode()
        return self.blobs(listed.split("\0")[:-1])

    def scan(self, revision: str, **changes: Any) -> tuple[list[str], list[str]]:
        """The ids that scan needs, and those that git does not know of what would go."""
        sent = self.history()
        answer = self.done("scan", lambda base: self.entries(revision, base) + sent, revision=revision, **changes)
        lines = [line.split(" ") for line in answer.decode().splitlines()]
        had = [blob for word, blob in lines if word == "had"]
        checked = self.git("cat-file", "--batch-check", sent="".join(f"{blob}\n" for blob in had).encode())
        unknown = [line.split()[0] for line in checked.decode().splitlines() if line.endswith(" missing")]
        made = [blob for word, blob in lines if word == "made"]
        checked = self.git("cat-file", "--batch-check", sent="".join(f"{blob}\n" for blob in made).encode())
        self.settings["known"] = [line.split()[0] for line in checked.decode().splitlines() if " blob " in line]
        return [blob for word, blob in lines if word == "need"], unknown

    def update(self, revision: str, **changes: Any) -> str:
        """Carry out a whole copy and say what it printed; the saved files are kept in `saved`."""
        needed, unknown = self.scan(revision, **changes)
        self.done("stage", self.blobs(needed), revision=revision, **changes)
        self.saved = self.save(revision, unknown, **changes) if unknown else {}
        return self.done("apply", revision=revision, **changes).decode()

    def fail(self, revision: str) -> Answer:
        """Begin a copy that cannot come to its end: a staged file is missing."""
        needed, _ = self.scan(revision)
        self.done("stage", self.blobs(needed), revision=revision)
        next(path for path in (self.record / "tree").rglob("*") if not path.is_dir()).unlink()
        return self.run("apply", revision=revision)

    def save(self, revision: str, unknown: list[str], **changes: Any) -> dict[str, bytes | str]:
        """What the host gets to keep: files with their bytes, symlinks with their targets."""
        tar = self.done("save", "".join(f"{blob}\n" for blob in unknown).encode(), revision=revision, **changes)
        with tarfile.open(fileobj=io.BytesIO(tar)) as saved:
            return {member.name: member.linkname if member.issym() else read_member(saved, member) for member in saved}

    def recorded(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.record / "record.json").read_text())
        return record


def read_member(saved: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = saved.extractfile(member)
    assert stream
    return stream.read()


def lay(folder: Path, name: str | bytes, content: bytes | str) -> None:
    """Lay a file: bytes are content, a text is a symlink's target; a name that ends with * is executable."""
    raw = os.fsencode(name)
    path = folder / os.fsdecode(raw.rstrip(b"*"))
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.unlink(missing_ok=True)
        path.symlink_to(content)
        return
    path.write_bytes(content)
    path.chmod(0o755 if raw.endswith(b"*") else 0o644)


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder but folders, in the words of `lay`."""
    found: dict[str, bytes | str] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name + "*" * bool(path.stat().st_mode & 0o100)] = path.read_bytes()
    return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# The program


def test_the_program_is_written_in_the_syntax_of_python_3_8() -> None:
    for source in SOURCES.values():
        ast.parse(source, feature_version=(3, 8))


def test_the_program_imports_nothing_but_the_standard_library() -> None:
    parsed = [node for source in SOURCES.values() for node in ast.walk(ast.parse(source))]
    names = {alias.name for node in parsed if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in parsed if isinstance(node, ast.ImportFrom)}
    others = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert others <= set(SOURCES)


def test_the_program_is_kept_by_the_first_command_that_may_change_something(world: World) -> None:
    world.inspect()
    assert not world.record.exists()
    world.done("clean")
    assert (world.record / "program").read_bytes() == PROGRAM.rstrip()


@pytest.mark.parametrize("kept", [b"", b"another version", b"\xff"])
def test_a_kept_program_that_is_another_is_not_run_but_replaced(world: World, kept: bytes) -> None:
    world.record.mkdir()
    (world.record / "program").write_bytes(kept)
    world.done("clean")
    assert (world.record / "program").read_bytes() == PROGRAM.rstrip()


def test_a_program_that_was_cut_off_is_not_run(world: World) -> None:
    words = words_of("clean", world.settings)
    answer = subprocess.run(words, input=PROGRAM[:-9], capture_output=True, check=False, timeout=60)
    assert (answer.returncode, answer.stdout) == (1, b"send\n")
    assert answer.stderr == b"clean: the program was cut off on its way into the container\n"


# A first copy


def test_a_first_copy_writes_every_file_with_gits_modes(world: World) -> None:
    files: dict[str | bytes, bytes | str] = {"wsgi.py": b"app", "bin/run*": b"#!/bin/sh\n", "pkg/link": "../wsgi.py"}
    said = world.update(world.commit(files))
    assert tree(world.app) == files
    assert said == "3 files written (1 KiB), 0 removed, 0 unchanged\n"


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


def test_folders_are_created_for_everyone_to_enter_whatever_the_umask(world: World) -> None:
    before = os.umask(0o077)
    try:
        world.update(world.commit({"a/b/c.py": b""}))
    finally:
        os.umask(before)
    assert [stat.S_IMODE((world.app / name).stat().st_mode) for name in ("a", "a/b")] == [0o755, 0o755]


def test_an_unknown_user_is_one_line_on_stderr(world: World) -> None:
    revision = world.commit({"a.py": b""})
    answer = world.run("scan", world.entries(revision) + b"\0", revision=revision, user="nobody-here")
    assert answer.returncode == 1
    expected = b"scan: the container has no user nobody-here: app.user takes a name, or uid:gid\n"
    assert answer.stderr == expected


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


def test_protected_paths_are_never_written(world: World) -> None:
    lay(world.app, ".env", b"secret")
    lay(world.app, "userdata/file", b"ours")
    world.update(world.commit({".env": b"git", "userdata/file": b"git", ".venv/x": b"git", "a.py": b"a"}))
    assert tree(world.app) == {".env": b"secret", "userdata/file": b"ours", "a.py": b"a"}


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


# The record


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


def test_nothing_is_removed_through_a_symlink(world: World) -> None:
    outside = world.place / "outside"
    lay(outside, "old.log", b"customers'")
    (world.app / "logs").symlink_to(outside)
    world.commit({"logs/old.log": b"x", "a.py": b"a"})
    world.update(world.commit({}, "logs"))
    assert tree(outside) == {"old.log": b"customers'"}


def test_protected_paths_are_never_removed(world: World) -> None:
    lay(world.app, "userdata/file", b"ours")
    world.commit({"userdata/file": b"git", "a.py": b"a"})
    world.update(world.commit({}, "userdata"))
    assert (world.app / "userdata/file").read_bytes() == b"ours"


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


def test_nothing_is_written_through_a_symlink(world: World) -> None:
    outside = world.place / "outside"
    lay(outside, "a.py", b"outside")
    (world.app / "pkg").symlink_to(outside)
    world.update(world.commit({"pkg/a.py": b"a"}))
    assert (tree(outside), tree(world.app)) == ({"a.py": b"outside"}, {"pkg/a.py": b"a"})
    assert world.saved == {"pkg": str(outside)}


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


def test_a_copy_that_does_not_fit_is_refused_before_anything_changed(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    revision = world.commit({"a.py": b"b"})
    needed, _ = world.scan(revision)
    answer = world.run("stage", world.blobs(needed), revision=revision, need_bytes=2**20, min_free_mib=2**40)
    assert answer.returncode == 1
    assert answer.stderr.startswith(b"stage: needs 1099511627777 MiB in %b, " % os.fsencode(world.app))
    assert answer.stderr.endswith(b" MiB free\n")
    assert (tree(world.app), world.recorded()["complete"]) == ({"a.py": b"a"}, True)


def test_a_damaged_blob_is_not_written(world: World) -> None:
    revision = world.commit({"a.py": b"good"})
    needed, _ = world.scan(revision)
    answer = world.run("stage", world.blobs(needed).replace(b"good", b"evil"), revision=revision)
    assert answer.returncode == 1
    assert b"was damaged on its way" in answer.stderr
    assert tree(world.app) == {}


def test_a_blob_that_git_misses_is_an_error(world: World) -> None:
    revision = world.commit({"a.py": b"good"})
    world.scan(revision)
    answer = world.run("stage", world.blobs(["1" * 40]), revision=revision)
    assert answer.stderr == b"stage: git did not send a blob but said: %b missing\n" % (b"1" * 40)


def test_a_blob_that_is_cut_off_is_an_error(world: World) -> None:
    revision = world.commit({"a.py": b"good"})
    needed, _ = world.scan(revision)
    answer = world.run("stage", world.blobs(needed)[:-3], revision=revision)
    assert answer.stderr == b"stage: a file was cut off on its way into the container\n"


@pytest.mark.parametrize("cut", [0, 1, 2, 30])
def test_a_list_that_is_cut_off_is_an_error(world: World, cut: int) -> None:
    revision = world.commit({"a.py": b"a"})
    sent = world.entries(revision)
    answer = world.run("scan", sent[: len(sent) - cut], revision=revision)
    expected = b"scan: the list of files was cut off on its way into the container\n"
    assert (answer.returncode, answer.stderr) == (1, expected)


def test_an_empty_commit_is_refused_as_it_would_remove_everything(world: World) -> None:
    answer = world.run("scan", b"\0\0\0", revision="1" * 40)
    assert answer.stderr == b"scan: the commit has no files\n"


@pytest.mark.parametrize("path", [b"../x", b"/x", b"a/./b", b"a//b"])
def test_a_path_that_leads_elsewhere_is_refused(world: World, path: bytes) -> None:
    entry = b"\0:000000 100644 %b %b A\0%b\0\0\0" % (b"0" * 40, b"1" * 40, path)
    answer = world.run("scan", entry, revision="1" * 40)
    assert answer.stderr.startswith(b"scan: not git's list of files: ")


def test_a_scan_of_another_revision_is_not_applied(world: World) -> None:
    first, second = world.commit({"a.py": b"a"}), world.commit({"a.py": b"b"})
    world.scan(first)
    answer = world.run("apply", b"", revision=second)
    assert answer.stderr == f"apply: scanned was {first}, not {second}\n".encode()


def test_nothing_is_applied_that_was_not_staged(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    world.scan(revision)
    answer = world.run("apply", b"", revision=revision)
    assert answer.stderr == f"apply: {revision} was not staged before\n".encode()
    assert not (world.record / "record.json").exists()


def test_a_blob_that_the_host_does_not_send_is_an_error(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    world.scan(revision)
    assert world.run("stage", b"", revision=revision).stderr == b"stage: the host did not send a.py\n"


def test_nothing_is_applied_without_a_scan(world: World) -> None:
    assert world.run("apply", b"", revision="1" * 40).stderr == b"apply: nothing was scanned before\n"


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


def test_temporary_files_of_a_killed_copy_are_removed(world: World) -> None:
    lay(world.app, "pkg/.hot-update-0123456789abcdef", b"half")
    lay(world.app, "userdata/.hot-update-0123456789abcdef", b"ours")
    world.update(world.commit({"pkg/a.py": b"a"}))
    assert tree(world.app) == {"pkg/a.py": b"a", "userdata/.hot-update-0123456789abcdef": b"ours"}


def test_a_copy_keeps_out_a_second_one(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    needed, _ = world.scan(revision)
    words = words_of("stage", {**world.settings, "revision": revision})
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdin
        while not (world.record / "tree").exists():
            assert first.poll() is None
        second = world.run("scan", world.entries(revision) + b"\0", revision=revision)
        first.communicate(world.blobs(needed))
    assert second.stderr == b"scan: an earlier update still works in the container\n"


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


def test_a_whole_stage_shares_with_the_app_what_the_last_copy_wrote_and_nothing_else(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    lay(world.app, "app.db", b"rows")
    revision = world.commit({"b.py": b"b"})
    needed, _ = world.scan(revision)
    world.done("stage", world.blobs(needed), revision=revision, whole=True)
    staged = world.record / "tree"
    assert (staged / "a.py").samefile(world.app / "a.py")
    assert not (staged / "app.db").samefile(world.app / "app.db")
    world.done("apply", revision=revision)
    assert tree(world.app) == {"a.py": b"a", "b.py": b"b", "app.db": b"rows"}


def test_a_second_name_of_a_file_is_no_change_of_it(world: World) -> None:
    world.update(world.commit({"a.py": b"a"}))
    os.link(world.app / "a.py", world.place / "second")
    before = world.inspect()["drift"]
    (world.app / "a.py").write_bytes(b"b")
    assert (before, world.inspect()["drift"]) == ([], ["a.py"])


def test_what_was_staged_can_be_thrown_away_without_following_its_links(world: World) -> None:
    lay(world.app, ".venv/bin/python", b"python")
    revision = world.commit({"a.py": b"a"})
    needed, _ = world.scan(revision)
    world.done("stage", world.blobs(needed), revision=revision, whole=True)
    world.done("discard")
    assert not (world.record / "tree").exists()
    assert tree(world.app) == {".venv/bin/python": b"python"}


# Undo


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
    assert sorted(path.name for path in world.record.iterdir()) == ["program", "record.json"]


def test_undo_after_a_first_copy_leaves_no_record(world: World) -> None:
    lay(world.app, "a.py", b"of the image")
    world.update(world.commit({"a.py": b"a", "new/b.py": b"b"}))
    world.done("undo")
    assert tree(world.app) == {"a.py": b"of the image"}
    assert [path.name for path in world.record.iterdir()] == ["program"]
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


# inspect


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


@pytest.mark.parametrize(("wanted", "differs"), [(b"x\n", False), (b"y\n", True)])
def test_a_file_that_the_image_installed_elsewhere_is_compared_there(
    world: World, wanted: bytes, differs: bool
) -> None:
    installed = world.place / "etc" / "site"
    lay(world.place, "etc/real", b"x\n")
    installed.symlink_to("real")
    revision = world.commit({"nginx/site": wanted})
    copies = {"nginx/site": str(installed), "nginx/other": "/nonexistent"}
    assert world.inspect(revision, installed=copies)["installed"] == {"nginx/site": differs}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., int]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, executable: str) -> int:
        process = subprocess.Popen(argv, executable=executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout
        process.stdout.readline()
        return process.pid

    yield start
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream
            stream.close()


WAIT = "import sys; print(flush=True); sys.stdin.read()"


@pytest.mark.parametrize(
    "name",
    ["/x y/gunicorn-inside-test", "gunicorn-inside-test: master [/srv/wsgi:application]", "gunicorn-inside-test3"],
)
def test_processes_finds_a_server_by_its_name(world: World, server: Callable[..., int], name: str) -> None:
    pid = server(name, "-c", WAIT, executable=sys.executable)
    assert world.inspect()["processes"] == [pid]


def test_processes_finds_a_server_that_is_a_script(world: World, server: Callable[..., int]) -> None:
    script = world.place / "gunicorn-inside-test"
    script.write_text(WAIT)
    pid = server(sys.executable, str(script), executable=sys.executable)
    assert world.inspect()["processes"] == [pid]


def test_processes_leaves_out_whoever_only_reads_the_servers_files(world: World, server: Callable[..., int]) -> None:
    log = world.place / "gunicorn-inside-test.log"
    log.write_text("\n")
    server("tail", str(log), "-f", executable=shutil.which("tail") or "")
    assert world.inspect()["processes"] == []


def test_what_serves_is_fresh_once_it_was_started_after_the_copy(world: World, server: Callable[..., int]) -> None:
    program = world.place / "gunicorn ) (x"
    program.symlink_to(sys.executable)
    old = server("gunicorn-inside-test", "-c", WAIT, executable=str(program))
    world.update(world.commit({"a.py": b"a"}))
    assert world.inspect()["fresh"] is False
    os.kill(old, signal.SIGKILL)
    os.waitpid(old, 0)
    assert world.inspect()["fresh"] is False
    server("gunicorn-inside-test", "-c", WAIT, executable=str(program))
    assert world.inspect()["fresh"] is True


def test_after_a_reboot_what_serves_is_fresh(world: World, server: Callable[..., int]) -> None:
    server("gunicorn-inside-test", "-c", WAIT, executable=sys.executable)
    world.update(world.commit({"a.py": b"a"}))
    record = json.loads((world.record / "record.json").read_text())
    (world.record / "record.json").write_text(json.dumps({**record, "boot_id": "earlier"}))
    assert world.inspect()["fresh"] is True


def test_a_part_that_fails_does_not_hide_the_others(world: World) -> None:
    found = world.inspect(user="nobody-here")
    assert found["owner"] is None
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith("owner: ")
    assert found["free_mib"] > 0


# Chains of migrations


def revision_file(revision: str, down: str, then: str = "") -> bytes:
    return f'"""Add {revision}\n\nMore."""\nrevision = "{revision}"\ndown_revision = {down}\n{then}\n'.encode()


def chains(world: World, versions: dict[str, bytes]) -> list[Any]:
    """Both chains of the same migrations: as they lie in the app, and as a commit has them."""
    files: dict[str | bytes, bytes | str] = {f"migrations/versions/{name}.py": text for name, text in versions.items()}
    revision = world.commit({**files, "migrations/env.py": b"raise SystemExit"})
    world.update(revision)
    listed = world.git("ls-tree", "-r", "--object-only", revision, "migrations").decode().split()
    sent = world.entries(revision) + world.blobs(listed)
    answer = inside("inspect", world.settings, sent)
    assert answer.returncode == 0
    found = json.loads(answer.stdout)
    return [found["chain"], found["target_chain"]]


def test_a_chain_is_told_from_base_to_head(world: World) -> None:
    found = chains(world, {"z": revision_file("1", "None"), "y": revision_file("2", "'1'", "print('noise')")})
    revisions = [
        {"revision": "1", "down": [], "doc": "Add 1"},
        {"revision": "2", "down": ["1"], "doc": "Add 2"},
    ]
    assert found == [{"heads": ["2"], "revisions": revisions}] * 2


def test_a_chain_may_have_two_heads_and_merges(world: World) -> None:
    versions = {"a": revision_file("1", "None"), "b": revision_file("2", "'1'"), "c": revision_file("3", "'1'")}
    assert [sorted(chain["heads"]) for chain in chains(world, versions)] == [["2", "3"]] * 2
    merged = chains(world, {**versions, "d": revision_file("4", "('2', '3')")})[0]
    assert (merged["heads"], merged["revisions"][-1]["down"]) == (["4"], ["2", "3"])


def test_a_syntax_error_in_a_revision_is_told_with_its_place(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None", "def (")})
    assert [chain["error"].partition(" (")[2] for chain in found] == ["migrations/versions/a.py, line 6)"] * 2


def test_a_revision_that_cannot_be_imported_is_told_with_its_place(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None", "import nonexistent")})
    expected = "ModuleNotFoundError: No module named 'nonexistent' (migrations/versions/a.py, line 6)"
    assert found == [{"error": expected}] * 2


def test_a_revision_without_its_parent_is_an_error(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None"), "b": revision_file("3", "'2'")})
    assert all("'2'" in chain["error"] or "2 referenced" in chain["error"] for chain in found)


def test_a_revision_that_is_there_twice_is_an_error(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None"), "b": revision_file("1", "None")})
    assert all("Revision 1 is present more than once" in chain["error"] for chain in found)


def test_reading_chains_leaves_nothing_behind(world: World) -> None:
    place = Path(tempfile.gettempdir())
    before = set(place.iterdir())
    chains(world, {"a": revision_file("1", "None")})
    assert {path for path in set(place.iterdir()) - before if (path / "migrations").exists()} == set()
    assert list(world.app.rglob("*.pyc")) == []


def test_a_missing_folder_of_migrations_is_an_error(world: World) -> None:
    found = world.inspect(world.commit({"a.py": b""}))
    assert found["chain"] == found["target_chain"] == {"error": "there is no folder migrations"}


def test_a_missing_blob_of_a_migration_is_an_error(world: World) -> None:
    revision = world.commit({"migrations/versions/a.py": b"x"})
    found = json.loads(world.done("inspect", world.entries(revision)))
    assert found["target_chain"] == {"error": "the host did not send migrations/versions/a.py"}


def test_a_missing_alembic_is_an_error_of_the_chain_alone(world: World) -> None:
    (world.app / "migrations").mkdir()
    # -S: without the site's packages.
    found = json.loads(inside("inspect", world.settings, b"\0\0", "-S").stdout)
    assert found["chain"] == {"error": "ModuleNotFoundError: No module named 'alembic'"}
    assert found["problems"] == []


# clean


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


# Any tree

NAMES = st.sampled_from([b"a", b"b", b"c.py", b"\xe6\x96\x87", b"x y", b"n\nl", b"\xff\xfe", b"-q", b"'\"$"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
CONTENTS = st.one_of(st.binary(max_size=8), st.sampled_from(["a", "../b", "/nonexistent"]))


def fitting(files: dict[bytes, tuple[bytes | str, bool]]) -> dict[str | bytes, bytes | str]:
    """Leave out files whose path another one needs for a folder, and make some executable."""
    tops = {b"/".join(path.split(b"/")[:depth]) for path in files for depth in range(1, path.count(b"/") + 1)}
    return {
        path + b"*" * (executable and isinstance(content, bytes)): content
        for path, (content, executable) in files.items()
        if path not in tops
    }


TREES = st.dictionaries(PATHS, st.tuples(CONTENTS, st.booleans()), min_size=1, max_size=6).map(fitting)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=TREES, second=TREES, there=TREES)
def test_after_any_copy_the_app_equals_the_commit_and_what_git_never_knew_is_kept_or_saved(
    first: dict[str | bytes, bytes | str],
    second: dict[str | bytes, bytes | str],
    there: dict[str | bytes, bytes | str],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        for name, content in there.items():
            lay(world.app, name, content)
        untouched = {b"untracked/" + os.fsencode(name): content for name, content in there.items()}
        for name, content in untouched.items():
            lay(world.app, name, content)
        before = tree(world.app)
        saved: dict[str, bytes | str] = {}
        for release in (first, second):
            shutil.rmtree(world.repo / "x", ignore_errors=True)
            for path in world.repo.iterdir():
                if path.name != ".git":
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            world.update(world.commit(release))
            saved.update(world.saved)
            after = tree(world.app)
            assert {os.fsdecode(name): content for name, content in release.items()}.items() <= after.items()
            assert {os.fsdecode(name): content for name, content in untouched.items()}.items() <= after.items()
        known = {content for release in (first, second) for content in release.values()}
        for name, content in before.items():
            assert after.get(name) == content or saved.get(name.rstrip("*")) == content or content in known
        wanted = {os.fsdecode(name).rstrip("*") for name in second}
        gone = {os.fsdecode(name).rstrip("*") for name in first} - wanted
        assert not gone & {name.rstrip("*") for name in after}


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(history=st.lists(TREES, min_size=2, max_size=3), there=TREES, data=st.data())
def test_any_copy_can_be_undone_and_any_release_gone_back_to(
    history: list[dict[str | bytes, bytes | str]], there: dict[str | bytes, bytes | str], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        for name, content in there.items():
            lay(world.app, b"untracked/" + os.fsencode(name), content)
        releases: list[tuple[str, dict[str, bytes | str]]] = []
        for files in history:
            for path in world.repo.iterdir():
                if path.name != ".git":
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            releases.append((world.commit(files), {os.fsdecode(name): content for name, content in files.items()}))
        kept = tree(world.app)
        for revision, wanted in data.draw(st.permutations(releases)):
            before, record = tree(world.app), (world.record / "record.json").exists() and world.recorded()
            world.update(revision)
            world.done("undo")
            assert tree(world.app) == before
            assert ((world.record / "record.json").exists() and world.recorded()) == record
            world.update(revision)
            # What git never knew goes only where a release needs its place, and is saved then.
            assert wanted.items() <= tree(world.app).items()
            assert {name for name in kept if name.startswith("untracked/")} <= set(tree(world.app))
