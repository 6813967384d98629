"""What runs inside the app container, by its own Python: look at the app's folder, make it equal to a commit, clean it.

The host sends this file, then the command's input, over stdin, and runs it as root:

    python -I -c 'import sys; exec(compile(sys.stdin.buffer.read(int(sys.argv[1])), "inside.py", "exec"))' \\
        SIZE COMMAND SETTINGS

Standard library only (Alembic where a migration chain is read), Python 3.8 or newer. Git is not here: the host sends
what git says. *Entries* are `git diff-tree -r -z --no-renames --raw --no-abbrev EMPTY_TREE COMMIT` plus a NUL, *blobs*
are `git cat-file --batch`. Paths are bytes, relative to the app's folder; in JSON, UTF-8 with surrogate escapes.
An expected error is one line on stderr and exit status 1.
"""
# Paths are bytes here, which pathlib does not take:
# ruff: noqa: PTH101, PTH102, PTH103, PTH105, PTH106, PTH110, PTH112, PTH113, PTH114
# ruff: noqa: PTH115, PTH116, PTH118, PTH119, PTH120, PTH123, PTH208, PTH211

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import json
import os
import pwd
import re
import secrets
import stat
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Container, Iterable, Iterator
from io import BufferedReader
from typing import Any, NamedTuple, cast

sys.dont_write_bytecode = True

TEMPORARY = b".hot-update-"
BYTECODE = re.compile(rb"\.py[co](\.\d+)?\Z")
FILE, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
PERMISSIONS = {FILE: 0o644, EXECUTABLE: 0o755}
MIB = 1024 * 1024


class ExpectedError(Exception):
    """What the operator should read, in one line."""


class Entry(NamedTuple):
    """A file as git sees it; a folder or special file has no mode and no blob."""

    mode: str
    blob: str


class Record(NamedTuple):
    """What the container remembers of its last update; `paths` are those that it wrote or may have written."""

    facts: dict[str, Any]
    manifest: dict[bytes, Entry]
    paths: frozenset[bytes]
    derived: dict[bytes, str]

    @property
    def complete(self) -> bool:
        """Tell whether the update came to its end."""
        return bool(self.facts["complete"])


# What comes in and goes out


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def shown(path: bytes) -> str:
    """Make a path fit for one line on a terminal."""
    letters = path.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in letters)


def say(line: str) -> None:
    sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace") + b"\n")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def field(stream: BufferedReader) -> bytes:
    """Read up to the next NUL. Nothing may be concluded from a list that was cut off."""
    parts = []
    while True:
        ahead = stream.peek()
        if not ahead:
            raise ExpectedError("the list of files was cut off on its way into the container")
        end = ahead.find(b"\0")
        if end >= 0:
            parts.append(stream.read(end + 1)[:-1])
            return b"".join(parts)
        parts.append(stream.read(len(ahead)))


def fields(stream: BufferedReader) -> Iterator[bytes]:
    """Read fields up to the empty one that ends their list."""
    return iter(lambda: field(stream), b"")


def read_entries(stream: BufferedReader) -> dict[bytes, Entry]:
    entries = {}
    for header in fields(stream):
        words = header.decode("ascii", "replace").split(" ")
        path = field(stream)
        if len(words) != 5 or {b"", b".", b".."} & set(path.split(b"/")):
            raise ExpectedError(f"not git's list of files: {shown(header)} {shown(path)}")
        if words[1] != SUBMODULE:
            entries[path] = Entry(words[1], words[3])
    return entries


def read_blobs(stream: BufferedReader) -> Iterator[tuple[str, bytes]]:
    """Read blobs up to the end of the input, each one proven by its id."""
    for header in iter(stream.readline, b""):
        words = header.decode("ascii", "replace").split()
        if len(words) != 3 or words[1] != "blob":
            raise ExpectedError(f"git did not send a blob but said: {shown(header.strip())}")
        content = stream.read(int(words[2]))
        if len(content) != int(words[2]) or stream.read(1) != b"\n":
            raise ExpectedError("a file was cut off on its way into the container")
        if blob_id(content, len(words[0])) != words[0]:
            raise ExpectedError(f"blob {words[0]} was damaged on its way into the container")
        yield words[0], content


def hasher(size: int, digits: int) -> Any:
    return hashlib.new("sha256" if digits == 64 else "sha1", b"blob %d\0" % size)


def blob_id(content: bytes, digits: int) -> str:
    """Name bytes as git does; `digits` is the length of the repository's ids."""
    hashed = hasher(len(content), digits)
    hashed.update(content)
    return str(hashed.hexdigest())


def file_id(file: bytes, digits: int, flags: int = os.O_NOFOLLOW) -> str:
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | flags), "rb") as stream:
        hashed = hasher(os.fstat(stream.fileno()).st_size, digits)
        for part in iter(lambda: stream.read(MIB), b""):
            hashed.update(part)
    return str(hashed.hexdigest())


def digits_of(entries: Iterable[Entry]) -> int:
    return next((len(entry.blob) for entry in entries), 40)


def parents(path: bytes) -> list[bytes]:
    """List the folders above a path, the topmost first."""
    parts = path.split(b"/")
    return [b"/".join(parts[:depth]) for depth in range(1, len(parts))]


def within(path: bytes, folders: Iterable[bytes]) -> bool:
    return any(path == folder or path.startswith(folder + b"/") for folder in folders)


def glob(pattern: str) -> re.Pattern[bytes]:
    """Translate one of git's glob pathspecs: ** crosses folders, and what names a folder covers all that is in it."""
    special = re.split(r"((?:^|(?<=/))\*\*/|/\*\*$|\*+|\?|\[!?[^]]+\])", pattern)
    meanings = {"**/": "(?:.*/)?", "/**": "/.*", "?": "[^/]"}

    def meaning(token: str) -> str:
        if token.startswith("["):
            return token.replace("[!", "[^", 1)
        return meanings.get(token, "[^/]*") if re.search(r"[*?]", token) else re.escape(token)

    return re.compile(raw("".join(map(meaning, special)) + r"(?:/.*)?\Z"), re.DOTALL)


# The app's folder


class Tree:
    """The app's folder: what lies in it in git's terms, and how files come and go. Symlinks are never followed."""

    def __init__(self, settings: dict[str, Any], digits: int = 40) -> None:
        self.root = os.path.realpath(raw(settings["app"]))
        self.protected = [raw(path).strip(b"/") for path in settings["protected"]]
        self.excluded = [glob(pattern) for pattern in settings.get("exclude", [])]
        self.derived = {raw(path): raw(source) for path, source in settings.get("derived", {}).items()}
        self.digits = digits
        self.user = settings.get("user", "")

    def at(self, path: bytes) -> bytes:
        return os.path.join(self.root, path)

    def spares(self, path: bytes) -> bool:
        """Tell whether a path is never written, changed or deleted."""
        return within(path, self.protected) or any(pattern.match(path) for pattern in self.excluded)

    def owner(self) -> tuple[int, int]:
        """Say who should own the code."""
        if not self.user:
            status = os.stat(self.root)
            return status.st_uid, status.st_gid
        ids = re.match(r"(\d+):(\d+)\Z", self.user)
        if ids:
            return int(ids[1]), int(ids[2])
        try:
            account = pwd.getpwnam(self.user)
        except KeyError:
            raise ExpectedError(f"the container has no user {self.user}: app.user takes a name, or uid:gid") from None
        return account.pw_uid, account.pw_gid

    def status(self, path: bytes) -> os.stat_result | None:
        """Look at what lies at a path, unless a folder above it is missing or no plain folder."""
        if self.blocker(path):
            return None
        try:
            return os.lstat(self.at(path))
        except FileNotFoundError:
            return None

    def blocker(self, path: bytes) -> bytes | None:
        """Find what lies where a path needs a folder: a file, or a symlink that would lead elsewhere."""
        for parent in parents(path):
            try:
                mode = os.lstat(self.at(parent)).st_mode
            except FileNotFoundError:
                return None
            if not stat.S_ISDIR(mode):
                return parent
        return None

    def entry(self, path: bytes) -> Entry | None:
        """Say what lies at a path; None: nothing."""
        status = self.status(path)
        if status is None:
            return None
        try:
            if stat.S_ISLNK(status.st_mode):
                return Entry(LINK, blob_id(os.readlink(self.at(path)), self.digits))
            if stat.S_ISREG(status.st_mode):
                return Entry(EXECUTABLE if status.st_mode & 0o100 else FILE, file_id(self.at(path), self.digits))
        except FileNotFoundError:
            return None
        return Entry("", "")

    def equals(self, path: bytes, entry: Entry, owner: tuple[int, int]) -> bool:
        """Tell whether a file is as an update would write it: bytes, type, mode and owner."""
        status = self.status(path)
        if status is None or (status.st_uid, status.st_gid) != owner or self.entry(path) != entry:
            return False
        return entry.mode == LINK or stat.S_IMODE(status.st_mode) == PERMISSIONS[entry.mode]

    def in_the_way(self, path: bytes) -> list[bytes]:
        """List what has to go before a file can lie at a path: files before the folders that hold them."""
        blocker = self.blocker(path)
        status = self.status(path)
        if not blocker and not (status and stat.S_ISDIR(status.st_mode)):
            return []
        gone = blocker or path
        for kept in self.protected:
            if within(kept, [gone]) and os.path.lexists(self.at(kept)):
                raise ExpectedError(
                    f"{shown(gone)} has to make room for {shown(path)}, but {shown(kept)} in it is protected"
                )
        if blocker:
            return [blocker]
        return [
            os.path.relpath(os.path.join(folder, name), self.root)
            for folder, folders, files in os.walk(self.at(path), topdown=False)
            for name in files + folders
        ] + [path]

    def walk(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Go through the unprotected folders: each one's full path and the paths of its files."""
        for folder, folders, files in os.walk(self.root):
            here = b"" if folder == self.root else os.path.relpath(folder, self.root)
            folders[:] = [name for name in folders if not within(os.path.join(here, name), self.protected)]
            paths = [os.path.join(here, name) for name in files]
            yield folder, [path for path in paths if not within(path, self.protected)]

    def write(self, path: bytes, mode: str, content: bytes, owner: tuple[int, int]) -> None:
        """Put a file in its place in one instant, with its mode and owner."""
        if self.blocker(path):
            raise ExpectedError(f"{shown(path)} cannot be written: its folder became something else meanwhile")
        for parent in parents(path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.at(parent), 0o755)
                os.lchown(self.at(parent), *owner)
        temporary = os.path.join(os.path.dirname(self.at(path)), TEMPORARY + secrets.token_hex(8).encode())
        try:
            if mode == LINK:
                os.symlink(content, temporary)
            else:
                with open(temporary, "xb") as stream:
                    stream.write(content)
            os.lchown(temporary, *owner)
            if mode != LINK:
                os.chmod(temporary, PERMISSIONS[mode])
            os.replace(temporary, self.at(path))
        except OSError:
            remove(temporary)
            raise

    def prune(self, path: bytes, tracked: Container[bytes]) -> None:
        """Remove the folders above a removed file that hold nothing more, or only bytecode of what is gone."""
        for folder in map(self.at, reversed(parents(path))):
            try:
                names = os.listdir(folder)
                if names == [b"__pycache__"]:
                    self.sweep(os.path.join(folder, names[0]), tracked)
                os.rmdir(folder)
            except OSError:
                # Not empty, gone already, or a mount: it stays.
                return

    def sweep(self, cache: bytes, tracked: Container[bytes]) -> tuple[int, int]:
        """Rid a __pycache__ of bytecode that git does not track: how many folders and files went."""
        if os.path.islink(cache):
            return 0, 0
        bytecode = [os.path.join(cache, name) for name in os.listdir(cache) if BYTECODE.search(name)]
        files = sum(remove(file) for file in bytecode if os.path.relpath(file, self.root) not in tracked)
        with contextlib.suppress(OSError):
            os.rmdir(cache)
            return 1, files
        return 0, files


def remove(file: bytes) -> bool:
    """Remove a file or an empty folder; what vanished meanwhile is fine."""
    try:
        (os.rmdir if stat.S_ISDIR(os.lstat(file).st_mode) else os.unlink)(file)
    except FileNotFoundError:
        return False
    return True


# What the container remembers


def write_json(folder: bytes, name: bytes, content: dict[str, Any]) -> None:
    temporary = os.path.join(folder, name + b".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, os.path.join(folder, name))
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def read_record(settings: dict[str, Any]) -> tuple[Record | None, str | None]:
    """Read the record, or None and what is wrong with it."""
    try:
        with open(os.path.join(raw(settings["record"]), b"record.json"), "rb") as stream:
            facts = json.load(stream)
        manifest = {raw(path): Entry(*entry) for path, entry in facts.get("manifest", {}).items()}
        paths = frozenset(manifest).union(map(raw, facts.get("paths", [])))
        derived = {raw(path): str(blob) for path, blob in facts.get("derived", {}).items()}
        if not isinstance(facts["revision"], str) or not isinstance(facts["complete"], bool):
            raise TypeError("not a record")
        return Record(facts, manifest, paths, derived), None
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        return None, f"the record in {settings['record']} cannot be read: {one_line(error)}"


def read_work(settings: dict[str, Any]) -> tuple[Tree, dict[str, Any], dict[bytes, Entry]]:
    """Read what scan worked out: the app's folder, the work, and the entries of the commit."""
    try:
        with open(os.path.join(raw(settings["record"]), b"work.json"), "rb") as stream:
            work: dict[str, Any] = json.load(stream)
    except FileNotFoundError:
        raise ExpectedError("nothing was scanned before") from None
    if work["revision"] != settings["revision"]:
        raise ExpectedError(f"scanned was {work['revision']}, not {settings['revision']}")
    entries = {raw(path): Entry(*entry) for path, entry in work["entries"].items()}
    return Tree(settings, digits_of(entries.values())), work, entries


def one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {shown(os.fsencode(error.filename))}" if error.filename else "")
    return f"{type(error).__name__}: {error}".replace("\n", " ")


def first_line(file: str) -> str:
    with open(file, encoding="ascii") as stream:
        return stream.readline().strip()


def boot_id() -> str:
    return first_line("/proc/sys/kernel/random/boot_id")


def uptime() -> float:
    return float(first_line("/proc/uptime").split()[0])


def free_bytes(tree: Tree) -> int:
    room = os.statvfs(tree.root)
    return room.f_bavail * room.f_frsize


# inspect


def inspect(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Print what the container holds and runs, as one JSON object. Changes nothing."""
    entries = read_entries(stream) if stream.peek() else {}
    blobs = dict(read_blobs(stream))
    record, record_problem = read_record(settings)
    tree = Tree(settings, digits_of(entries.values() or (record.manifest.values() if record else ())))
    folder = settings["migrations"].strip("/")
    facts = ("revision", "complete", "run", "at", "boot_id", "uptime", "overridden")
    parts: dict[str, Callable[[], Any]] = {
        "record": lambda: record and {name: record.facts.get(name) for name in facts},
        "record_problem": lambda: record_problem,
        "owner": lambda: "{}:{}".format(*tree.owner()),
        "free_mib": lambda: free_bytes(tree) // MIB,
        "drift": lambda: drift(tree, record),
        "derived_changed": lambda: derived_changed(tree, record),
        "differs": lambda: differs(tree, entries, settings.get("installed", {})),
        "processes": lambda: processes(settings["server"].encode()),
        "boot_id": boot_id,
        "uptime": uptime,
        "chain": lambda: chain(os.fsdecode(tree.at(raw(folder))), folder),
        "target_chain": lambda: target_chain(entries, blobs, folder) if entries else None,
    }
    found: dict[str, Any] = {}
    problems = []
    for name, part in parts.items():
        try:
            found[name] = part()
        except Exception as error:  # noqa: BLE001  (one unreadable part must not hide the others; it is reported)
            found[name] = None
            problems.append(f"{name}: {one_line(error)}")
    say(json.dumps({**found, "problems": problems}))


def drift(tree: Tree, record: Record | None) -> list[str]:
    if record is None or not record.complete:
        return []
    recorded = record.manifest.items()
    watched = {path: entry for path, entry in recorded if not tree.spares(path) and path not in tree.derived}
    # A derived file may differ, but the app does not start without it.
    missing = {path for path in record.derived if not os.path.lexists(tree.at(path))}
    return [text(path) for path in sorted(missing | {path for path in watched if tree.entry(path) != watched[path]})]


def derived_changed(tree: Tree, record: Record | None) -> list[str]:
    recorded = record.derived if record else {}
    return [text(path) for path in sorted(recorded) if followed_id(tree.at(path), tree.digits) != recorded[path]]


def followed_id(file: bytes, digits: int) -> str | None:
    """Name the bytes that whoever opens a file reads; None: there is no such file."""
    return file_id(file, digits, flags=0) if os.path.isfile(file) else None


def differs(tree: Tree, entries: dict[bytes, Entry], installed: dict[str, str]) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for path, entry in entries.items():
        copy = raw(installed.get(text(path), ""))
        here = tree.entry(path)
        have = followed_id(copy, tree.digits) if copy and os.path.exists(copy) else (here and here.blob) or None
        if have != entry.blob and not tree.spares(path):
            found[text(path)] = [have, entry.blob]
    return found


def processes(server: bytes) -> list[dict[str, Any]]:
    """List the app server's processes; `started` is in seconds since the host booted."""
    found = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                argv = stream.read().split(b"\0")
            with open(f"/proc/{pid}/stat", "rb") as stream:
                after_name = stream.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if serves(argv, server):
            started = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
            found.append({"pid": pid, "ppid": int(after_name[1]), "started": started})
    return found


def serves(argv: list[bytes], server: bytes) -> bool:
    """Tell a server by its own name, or by the script's that an interpreter runs (a pager on its log is none)."""
    # Gunicorn may rename itself, "gunicorn: master [wsgi:application]", and what follows the name may hold slashes.
    programs = [argv[0], argv[0].split(b" ")[0]]
    if re.search(rb"(python[\d.]*|pypy[\d.]*|sh)\Z", argv[0]):
        programs += argv[1:2]
    return any(os.path.basename(program).startswith(server) for program in programs)


def target_chain(entries: dict[bytes, Entry], blobs: dict[str, bytes], folder: str) -> dict[str, Any]:
    """Read the chain of a commit's migrations, unpacked for a moment."""
    with tempfile.TemporaryDirectory() as place:
        for path, entry in entries.items():
            if not within(path, [raw(folder)]) or entry.mode == LINK:
                continue
            if entry.blob not in blobs:
                return {"error": f"the host did not send {shown(path)}"}
            file = os.path.join(os.fsencode(place), path)
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "wb") as stream:
                stream.write(blobs[entry.blob])
        return chain(os.path.join(place, folder), folder)


def chain(place: str, folder: str) -> dict[str, Any]:
    """Read a chain of migrations, from base to head, without the app; `folder` is what errors call its place."""
    if not os.path.isdir(place):
        return {"error": f"there is no folder {folder}"}
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Alembic only warns of these, but its chain is then not the whole one.
            warnings.filterwarnings("error", message="Revision .* present")
            script = importlib.import_module("alembic.script").ScriptDirectory(place)
            revisions = list(script.walk_revisions())[::-1]
            return {"heads": list(script.get_heads()), "revisions": [described(revision) for revision in revisions]}
    except (Exception, SystemExit) as error:  # noqa: BLE001  (a revision file is code, and may raise anything)
        where = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError):
            where.append((error.filename or "", error.lineno))
        files = [f" ({file}, line {line})" for file, line in where if file.startswith(place)]
        message = error.msg if isinstance(error, SyntaxError) else one_line(error)
        return {"error": (message + (files or [""])[-1]).replace(place, folder)}


def described(revision: Any) -> dict[str, Any]:
    down = revision.down_revision or ()
    parents_ = [down] if isinstance(down, str) else list(down)
    return {"revision": revision.revision, "down": parents_, "doc": (revision.doc or "").split("\n")[0]}


# scan, save, apply


def scan(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Work out what apply has to do, keep it, and print which blobs that needs and which it does away with."""
    entries = read_entries(stream)
    history = set(fields(stream))
    if not entries:
        raise ExpectedError("the commit has no files")
    tree = Tree(settings, digits_of(entries.values()))
    entries = {path: entry for path, entry in entries.items() if not tree.spares(path)}
    record, _ = read_record(settings)
    complete = record is not None and record.complete
    owner = tree.owner()
    write = [path for path, entry in entries.items() if not complete or not tree.equals(path, entry, owner)]
    clear = list(dict.fromkeys(obstacle for path in write for obstacle in tree.in_the_way(path)))
    former = (record.paths if record else set()) | (set() if complete else history)
    derived = [path for path in tree.derived if not os.path.islink(tree.at(path))]
    gone = former - set(entries) - set(clear) - set(tree.derived)
    found = {path: tree.entry(path) for path in [*write, *clear, *gone, *derived] if not tree.spares(path)}
    had = {path: entry for path, entry in found.items() if entry and entry.mode}
    work = {
        "revision": settings["revision"],
        "entries": {text(path): entry for path, entry in entries.items()},
        "write": [text(path) for path in write],
        "clear": [text(path) for path in clear],
        "remove": sorted(text(path) for path in gone & set(had)),
        "had": {text(path): entry.blob for path, entry in had.items()},
        "unknown": [],
    }
    write_json(raw(settings["record"]), b"work.json", work)
    for blob in sorted({entries[path].blob for path in write}):
        say(f"need {blob}")
    for blob in sorted({entry.blob for entry in had.values()}):
        say(f"had {blob}")


def save(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Send, as a tar, the files that apply does away with and whose blobs git does not know."""
    tree, work, _ = read_work(settings)
    unknown = set(stream.read().decode("ascii").split())
    write_json(raw(settings["record"]), b"work.json", {**work, "unknown": sorted(unknown)})
    with tarfile.open(
        fileobj=sys.stdout.buffer, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for path in sorted(path for path, blob in work["had"].items() if blob in unknown):
            with contextlib.suppress(FileNotFoundError):
                tar.add(os.fsdecode(tree.at(raw(path))), arcname=path, recursive=False)


def apply(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Make the app's folder equal to the scanned commit; only a complete copy leaves a complete record."""
    tree, work, entries = read_work(settings)
    owner = tree.owner()
    free = free_bytes(tree)
    needed = settings["need_bytes"] + settings["min_free_mib"] * MIB
    if free < needed:
        raise ExpectedError(f"needs {-(-needed // MIB)} MiB in {settings['app']}, {free // MIB} MiB free")
    record, _ = read_record(settings)
    folder = raw(settings["record"])
    facts = {"revision": work["revision"], "run": settings["run"], "boot_id": boot_id()}
    # A killed copy may have written files of this commit too: the next one has to know all of these.
    paths = sorted(map(text, (record.paths if record else frozenset()).union(entries)))
    write_json(folder, b"record.json", {**facts, "complete": False, "at": int(time.time()), "paths": paths})

    for _, files in tree.walk():
        for path in files:
            if os.path.basename(path).startswith(TEMPORARY) and path not in entries:
                remove(tree.at(path))
    for path in map(raw, work["clear"]):
        remove(tree.at(path))
    size = write_blobs(tree, entries, [raw(path) for path in work["write"]], stream, owner)
    removed = [path for path in map(raw, work["remove"]) if tree.status(path) and remove(tree.at(path))]
    for path in removed:
        tree.prune(path, entries)
    derived, lines = derive(tree, work, record, entries, owner)
    wrong = [shown(path) for path, entry in entries.items() if not tree.equals(path, entry, owner)]
    if wrong:
        raise ExpectedError(
            f"after the copy {counted(len(wrong), 'file')} not as in the commit: {', '.join(wrong[:5])}"
        )

    manifest = {text(path): entry for path, entry in entries.items()}
    done = {"complete": True, "uptime": uptime(), "at": int(time.time()), "overridden": settings["overridden"]}
    write_json(folder, b"record.json", {**facts, **done, "manifest": manifest, "derived": derived})
    remove(os.path.join(folder, b"work.json"))

    cleared = len(set(work["clear"]) & set(work["had"]))
    amount = f"{-(-size // 1024)} KiB" if size < MIB else f"{size / MIB:.1f} MiB"
    written, unchanged = len(work["write"]), len(entries) - len(work["write"])
    say(f"{counted(written, 'file')} written ({amount}), {len(removed) + cleared} removed, {unchanged} unchanged")
    for path in sorted(path for path, blob in work["had"].items() if blob in work["unknown"]):
        say(f"saved: {shown(raw(path))} (git does not know its content)")
    for line in lines:
        say(line)


def write_blobs(
    tree: Tree, entries: dict[bytes, Entry], paths: list[bytes], stream: BufferedReader, owner: tuple[int, int]
) -> int:
    """Write each blob to its places as it arrives, and count the bytes written."""
    places: dict[str, list[bytes]] = {}
    for path in paths:
        places.setdefault(entries[path].blob, []).append(path)
    size = 0
    for blob, content in read_blobs(stream):
        for path in places.pop(blob, []):
            tree.write(path, entries[path].mode, content, owner)
            size += len(content)
    if places:
        raise ExpectedError(f"the host did not send {shown(next(iter(places.values()))[0])}")
    return size


def derive(
    tree: Tree, work: dict[str, Any], record: Record | None, tracked: Container[bytes], owner: tuple[int, int]
) -> tuple[dict[str, str], list[str]]:
    """Make or refresh the files made from a tracked one, unless changed by hand: their blobs, and what was done."""
    known = set(work["had"].values()) - set(work["unknown"])
    made, lines = {}, []
    for path, source in tree.derived.items():
        want = followed_id(tree.at(source), tree.digits)
        if want is None or path in tracked or tree.spares(path):
            continue
        made[text(path)] = want
        have = followed_id(tree.at(path), tree.digits)
        if have == want:
            continue
        before = tree.entry(path)
        ours = before and before.mode in PERMISSIONS and have in known | {record.derived.get(path) if record else None}
        if tree.blocker(path) or (before and not ours):
            lines.append(f"kept: {shown(path)} was changed by hand")
            continue
        with open(tree.at(source), "rb") as stream:
            tree.write(path, FILE, stream.read(), owner)
        lines.append(f"{'refreshed' if before else 'made'}: {shown(path)} from {shown(source)}")
    return made, lines


# clean


def clean(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Remove bytecode below the app's folder, and the files in the cache folders."""
    tree = Tree(settings)
    record, _ = read_record(settings)
    tracked = record.paths if record else frozenset()
    kept = [os.path.realpath(tree.at(path)) for path in tree.protected]
    caches = {cache: os.path.realpath(raw(cache)).rstrip(b"/") for cache in settings["caches"]}
    for cache, place in caches.items():
        if within(tree.root, [place]) or within(place, kept) or any(within(path, [place]) for path in kept):
            raise ExpectedError(f"{cache} is not emptied as a cache: it holds the app, or protected files")
    folders = files = 0
    for folder, paths in tree.walk():
        if os.path.basename(folder) == b"__pycache__":
            swept = tree.sweep(folder, tracked)
            folders, files = folders + swept[0], files + swept[1]
        else:
            files += sum(remove(tree.at(path)) for path in paths if path.endswith(b".pyc") and path not in tracked)
    say(f"{counted(folders, '__pycache__ folder')} and {counted(files, '.pyc file')} removed")
    for cache, place in caches.items():
        if os.path.isdir(place):
            found = [os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names]
            say(f"{cache}: {counted(sum(map(remove, found)), 'file')} removed")


COMMANDS = {"inspect": inspect, "scan": scan, "save": save, "apply": apply, "clean": clean}


@contextlib.contextmanager
def alone(settings: dict[str, Any]) -> Iterator[None]:
    """Keep out a copy whose host was lost and that still runs: it could write its record over a newer one."""
    os.makedirs(settings["record"], mode=0o700, exist_ok=True)
    descriptor = os.open(settings["record"], os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExpectedError("an earlier update still works in the container") from None
    try:
        yield
    finally:
        os.close(descriptor)


def main(command: str, settings: dict[str, Any]) -> None:
    os.umask(0o022)
    try:
        with contextlib.nullcontext() if command == "inspect" else alone(settings):
            COMMANDS[command](settings, cast("BufferedReader", sys.stdin.buffer))
        sys.stdout.flush()
    except (ExpectedError, OSError) as error:
        message = str(error) if isinstance(error, ExpectedError) else one_line(error)
        sys.stderr.buffer.write(f"{command}: {message}\n".encode("utf-8", "backslashreplace"))
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[2], json.loads(os.fsencode(sys.argv[3])))
