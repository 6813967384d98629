"""The app's folder."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from deploy.inside.message import ExpectedError
from deploy.inside.mounts import is_mount, mounts
from deploy.inside.wire import EXECUTABLE, FILE, LINK, Entry, blob_id, file_id, raw, shown

TEMPORARY = b".hot-update-"
BYTECODE = re.compile(rb"\.py[co](\.\d+)?\Z")
PERMISSIONS = {FILE: 0o644, EXECUTABLE: 0o755}


def parents(path: bytes) -> list[bytes]:
    """List the folders above a path, the topmost first."""
    parts = path.split(b"/")
    return [b"/".join(parts[:depth]) for depth in range(1, len(parts))]


def above(paths: Iterable[bytes]) -> set[bytes]:
    """Name every folder that is needed to hold these paths."""
    return {folder for path in {os.path.dirname(path) for path in paths} for folder in (*parents(path), path)}


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


def signature(status: os.stat_result) -> list[int]:
    """Tell a file's state: whatever changes it, its mode or its owner, changes this too."""
    return [status.st_ino, status.st_ctime_ns, status.st_size, status.st_mode]


def statuses(items: dict[bytes, os.DirEntry[bytes]]) -> dict[bytes, os.stat_result]:
    """Look at what lies in a folder, but for what vanished meanwhile."""
    found = {}
    for path, item in items.items():
        with contextlib.suppress(OSError):
            found[path] = item.stat(follow_symlinks=False)
    return found


class Tree:
    """The app's folder: what lies in it in git's terms, and how files come and go. Symlinks are never followed."""

    def __init__(self, settings: dict[str, Any], digits: int = 40) -> None:
        self.root = os.path.realpath(raw(settings["app"]))
        self.protected = [raw(path).strip(b"/") for path in settings["protected"]]
        self.excluded = [glob(pattern) for pattern in settings.get("exclude", [])]
        # What is mounted into it; what is spared anyway is left out.
        self.mounts = [path for path in mounts(self.root) if not self.spares(path)]
        # The folder is the host's clone: all of it is mounted, and comes and goes with that.
        self.clone = bool(settings.get("mounted"))
        # Whose files bear the owners and modes of the host.
        self.shared = self.clone or is_mount(self.root)
        self.derived = {raw(path): raw(source) for path, source in settings.get("derived", {}).items()}
        self.digits = digits
        self.user = settings.get("user", "")
        # Files with the signature that they had when they were last read: still the same, they need not be read again.
        self.known: dict[bytes, tuple[list[int], Entry]] = {}
        self.seen: dict[bytes, os.stat_result] = {}

    def at(self, path: bytes) -> bytes:
        return os.path.join(self.root, path)

    def spares(self, path: bytes) -> bool:
        """Tell whether a path is never written, changed or deleted."""
        return within(path, self.protected) or any(pattern.match(path) for pattern in self.excluded)

    def mounted(self, path: bytes) -> bool:
        """Tell whether a path is, or lies in, what somebody mounted there: it is not ours to write."""
        return self.clone or within(path, self.mounts)

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
            raise ExpectedError("the container has no user %s: app.user takes a name, or uid:gid", self.user) from None
        return account.pw_uid, account.pw_gid

    def look(self, paths: Iterable[bytes]) -> None:
        """Look at many files at once: status() tells from here on what was there now. Who writes has to look again."""
        self.seen = {}
        wanted = above(paths)
        for _, items in self.descend(lambda folder: folder in wanted):
            self.seen.update(statuses(items))

    def descend(self, enters: Callable[[bytes], bool]) -> Iterator[tuple[bytes, dict[bytes, os.DirEntry[bytes]]]]:
        """Go from the top through the folders that are to be entered: each one's path, and what lies in it by path."""
        folders = [b""]
        while folders:
            here = folders.pop()
            items: dict[bytes, os.DirEntry[bytes]] = {}
            # What cannot be seen in this way is looked at by itself, if it comes to that.
            with contextlib.suppress(OSError), os.scandir(self.at(here)) as listed:
                items.update((os.path.join(here, item.name), item) for item in listed)
            yield here, items
            folders += [path for path, item in items.items() if item.is_dir(follow_symlinks=False) and enters(path)]

    def status(self, path: bytes) -> os.stat_result | None:
        """Look at what lies at a path, unless a folder above it is missing or no plain folder."""
        if path in self.seen:
            return self.seen[path]
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
        found, entry = self.known.get(path, (None, None))
        if entry and found == signature(status):
            return entry
        try:
            if stat.S_ISLNK(status.st_mode):
                return Entry(LINK, blob_id(os.readlink(self.at(path)), self.digits))
            if stat.S_ISREG(status.st_mode):
                return Entry(EXECUTABLE if status.st_mode & 0o100 else FILE, file_id(self.at(path), self.digits))
        except FileNotFoundError:
            return None
        return Entry("", "")

    def equals(self, path: bytes, entry: Entry, owner: tuple[int, int]) -> bool:
        """Tell whether a file is as an update would write it: bytes, type, mode and owner; of a mount, bytes."""
        if self.shared or self.mounted(path):
            return self.entry(path) == entry
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
                names = map(shown, (gone, path, kept))
                raise ExpectedError("%s has to make room for %s, but %s in it is protected", *names)
        if blocker:
            return [blocker]
        return [
            os.path.relpath(os.path.join(folder, name), self.root)
            for folder, folders, files in os.walk(self.at(path), topdown=False)
            for name in files + folders
        ] + [path]

    def walk(self) -> Iterator[tuple[bytes, dict[bytes, os.DirEntry[bytes]]]]:
        """Go through the unprotected folders: each one's path and its files. A symlink to a folder is one of these."""
        for folder, items in self.descend(lambda folder: not within(folder, self.protected)):
            files = {path: item for path, item in items.items() if not item.is_dir(follow_symlinks=False)}
            yield folder, {path: item for path, item in files.items() if not within(path, self.protected)}

    def write(self, path: bytes, mode: str, content: bytes, owner: tuple[int, int]) -> None:
        """Put a file in its place in one instant, with its mode and owner."""
        self.make_way(path, owner)
        temporary = self.temporary(path)
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

    def take(self, other: Tree, path: bytes, mode: str, owner: tuple[int, int]) -> None:
        """Move a file in from another tree in one instant; it is there with its mode and owner."""
        self.make_way(path, owner)
        try:
            os.replace(other.at(path), self.at(path))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self.write(path, mode, content(other.at(path), mode), owner)

    def make_way(self, path: bytes, owner: tuple[int, int]) -> None:
        """Make the folders above a path."""
        if self.blocker(path):
            raise ExpectedError("%s cannot be written: its folder became something else meanwhile", shown(path))
        for parent in parents(path):
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.at(parent), 0o755)
                os.lchown(self.at(parent), *owner)

    def temporary(self, path: bytes) -> bytes:
        """Name a file beside a path, to be renamed to it."""
        return os.path.join(os.path.dirname(self.at(path)), TEMPORARY + secrets.token_hex(8).encode())

    def remove_temporaries(self, tracked: Container[bytes]) -> None:
        """Remove what a killed copy left half written."""
        for _, files in self.walk():
            for path in files:
                if os.path.basename(path).startswith(TEMPORARY) and path not in tracked:
                    remove(self.at(path))

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


def clone(file: bytes, copy: bytes) -> None:
    """Copy a file or a symlink with its mode, owner and times."""
    status = os.lstat(file)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        raise ExpectedError("%s is neither a file nor a symlink", shown(file))
    shutil.copy2(file, copy, follow_symlinks=False)
    os.lchown(copy, status.st_uid, status.st_gid)


def content(file: bytes, mode: str) -> bytes:
    """Read a file, or where a symlink leads."""
    if mode == LINK:
        return os.readlink(file)
    with open(file, "rb") as stream:
        return stream.read()


def remove(file: bytes) -> bool:
    """Remove a file or an empty folder; what vanished meanwhile is fine."""
    try:
        (os.rmdir if stat.S_ISDIR(os.lstat(file).st_mode) else os.unlink)(file)
    except FileNotFoundError:
        return False
    return True


def free_bytes(tree: Tree) -> int:
    room = os.statvfs(tree.root)
    return room.f_bavail * room.f_frsize
