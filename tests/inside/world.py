"""Where the program inside the container is tested: temporary folders and real git, run as the container runs it."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.inside import LOADER, program, variables
from deploy.state import with_texts
from tests.plain import plain_bytes

PROGRAM = program().encode() + b"\n"
GIT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
SOURCE, MADE = "nginx/gunicorn.py", "gunicorn.conf.py"
DERIVED = {MADE: SOURCE}
# The files of a folder, and what these and the folders are like: mode, owners, names, time.
State = tuple[dict[str, bytes | str], dict[str, tuple[int, ...]]]
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
    return Answer(words, process.returncode, plain_bytes(output), plain_bytes(complaint))


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
            "files": {},
            "site": "nginx",
            "built": {},
            "digests": {},
            "env": ".env",
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

    def empty(self) -> None:
        """Take every file out of the repository's folder."""
        for path in self.repo.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

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
        facts, *texts = self.inspected(revision, **changes)
        found: dict[str, Any] = with_texts(json.loads(facts), texts)
        return found

    def inspected(self, revision: str = "", **changes: Any) -> list[str]:
        """The lines that inspect prints."""
        blobs = self.migrations(revision) if revision else b""
        sent = lambda base: self.entries(revision, base) + blobs if revision else b"\0\0"  # noqa: E731
        return self.done("inspect", sent, **changes).decode().splitlines()

    def migrations(self, revision: str) -> bytes:
        sources = [file["source"] for file in self.settings["files"].values()]
        listed = self.git("ls-tree", "-r", "-z", "--object-only", revision, "migrations", *sources).decode()
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

    def stage_whole(self, revision: str) -> State:
        """Stage a tree that the app can be run from: what it is like."""
        began = time.time_ns()
        needed, _ = self.scan(revision, whole=True)
        self.done("stage", self.blobs(needed), revision=revision, whole=True)
        return state(self.record / "tree", began)

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


def state(folder: Path, began: int = 2**63) -> State:
    """What is in a folder, and what its files and folders are like; their times, where these are older than `began`."""
    found: dict[str, tuple[int, ...]] = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        time = status.st_mtime_ns if not path.is_dir() and status.st_mtime_ns < began else 0
        found[str(path.relative_to(folder))] = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink, time)
    return tree(folder), found
