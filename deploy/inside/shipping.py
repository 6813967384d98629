"""Bring what is built from sources into its folder, its pages last, and bring back what was there before."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tarfile
import time
from io import BufferedReader, RawIOBase
from typing import Any

from deploy.inside.before import duplicate, put_back
from deploy.inside.builds import NOTHING, OTHER, known_builds, remember_builds
from deploy.inside.message import ExpectedError, counted, say
from deploy.inside.record import is_damaged, read_json, write_json
from deploy.inside.staging import room
from deploy.inside.tree import Tree, remove
from deploy.inside.wire import EXECUTABLE, FILE, MIB, Entry, raw, shown, text

# By name, of the last run that shipped: what it replaced, added and removed, and what was known of it before.
SHIPPED = b"shipped.json"
# Where a build says what it is made from; nobody is served that.
SOURCES = b".sources"


def pack(settings: dict[str, Any], _: BufferedReader) -> None:
    """Send all of one as a tar."""
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        tar.add(os.fsdecode(place_of(settings).root), arcname=".")


def ship(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Bring the tar's files to their places. Those that it lacks stay for a while, if a build brought them."""
    place, name, now = place_of(settings), settings["name"], int(time.time())
    known = known_builds(settings)
    before, owner = known.get(name, NOTHING), place.owner()
    coming = unpack(settings, stream, owner)
    entries = {path: coming.entry(path) for _, files in coming.walk() for path in files}
    put = sorted((path for path in entries if place.entry(path) != entries[path]), key=order)
    former = dict.fromkeys(before["files"], now) | before["left"]
    left = {path: since for path, since in former.items() if raw(path) not in entries and place.status(raw(path))}
    gone = [path for path, since in left.items() if since + settings["keep"] <= now]
    room(place, sum(os.lstat(coming.at(path)).st_size for path in put), settings)
    keep(settings, place, [*put, *map(raw, gone)], known.get(name))
    known[name] = {
        "digest": settings["digest"],
        "files": sorted(map(text, entries)),
        "left": {path: since for path, since in left.items() if path not in gone},
    }
    # What is there is neither of the two until all of it has come.
    remember_builds(settings, {**known, name: {**known[name], "digest": OTHER}})
    for path in put:
        place.take(coming, path, (entries[path] or Entry(FILE, "")).mode, owner)
    for path in gone:
        remove(place.at(raw(path)))
        place.prune(raw(path), ())
    remember_builds(settings, known)
    shutil.rmtree(coming.root, ignore_errors=True)
    say("%s: %s, kept for open pages: %s, removed: %s", name, files_of(len(put)), len(left) - len(gone), len(gone))


def unship(settings: dict[str, Any], _: BufferedReader) -> None:
    """Bring back what was there before the run, byte for byte, its pages first."""
    place, name = place_of(settings), settings["name"]
    shipped = read_json(settings, SHIPPED)
    if shipped is None and is_damaged(settings, SHIPPED):
        raise ExpectedError("shipped.json in %s is damaged: what was shipped to %s stays", settings["record"], name)
    if shipped is None or shipped["run"] != settings["run"] or name not in shipped["builds"]:
        say("nothing was shipped to %s", name)
        return
    before = shipped["builds"].pop(name)
    for path in sorted(map(raw, before["saved"]), key=order, reverse=True):
        put_back(place, saved(settings, path), path)
    for path in map(raw, before["added"]):
        if remove(place.at(path)):
            place.prune(path, ())
    place.remove_temporaries(())
    known = known_builds(settings)
    known.pop(name, None)
    remember_builds(settings, known | ({name: before["known"]} if before["known"] else {}))
    write_json(raw(settings["record"]), SHIPPED, shipped)
    say("%s: %s as before, %s removed again", name, files_of(len(before["saved"])), len(before["added"]))


def place_of(settings: dict[str, Any]) -> Tree:
    """Its folder in the container: all of it is ours to write, but for what is mounted there."""
    place = os.path.join(settings["app"], settings["built"][settings["name"]]["path"])
    if not os.path.isdir(place):
        raise ExpectedError("%s is not there any more", place)
    return tree_at(settings, place)


def tree_at(settings: dict[str, Any], place: str) -> Tree:
    return Tree({**settings, "app": place, "user": "", "protected": [], "exclude": [], "derived": {}})


def unpack(settings: dict[str, Any], stream: BufferedReader, owner: tuple[int, int]) -> Tree:
    """Lay the tar out beside, up to its end, before anything is touched."""
    folder = os.path.join(settings["record"], "built", "new")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, mode=0o700)
    tree = tree_at(settings, folder)
    arriving = Counted(stream)
    try:
        with tarfile.open(fileobj=arriving, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                path = raw(os.path.normpath(member.name))
                if path == SOURCES or member.isdir():
                    continue
                if not (member.isfile() and not {b"", b".."} & set(path.split(b"/"))):
                    raise ExpectedError("%s is no plain file: nothing was shipped", shown(path))
                content = tar.extractfile(member)
                mode = EXECUTABLE if member.mode & 0o100 else FILE
                tree.write(path, mode, content.read() if content else b"", owner)
    except tarfile.TarError as error:
        raise ExpectedError("what was built did not arrive whole: %s", str(error)) from error
    # A tar that ends in the middle of a header counts as one that ends.
    while arriving.read(MIB):
        """What fills the last block is of no use."""
    if arriving.count != settings["bytes"]:
        raise ExpectedError("what was built did not arrive whole: %s of %s bytes", arriving.count, settings["bytes"])
    return tree


class Counted(RawIOBase):
    """A stream that knows how many bytes were read of it."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream, self.count = stream, 0

    def read(self, size: int = -1) -> bytes:
        part = self._stream.read(size)
        self.count += len(part)
        return part


def keep(settings: dict[str, Any], place: Tree, paths: list[bytes], known: Any) -> None:
    """Keep what is about to be replaced or removed."""
    shipped = read_json(settings, SHIPPED)
    if not shipped or shipped["run"] != settings["run"]:
        shipped = {"run": settings["run"], "builds": {}}
        shutil.rmtree(os.path.join(settings["record"], "built", "before"), ignore_errors=True)
    there = [path for path in paths if place.status(path) is not None]
    for path in there:
        copy = saved(settings, path)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(copy)
        duplicate(place.at(path), copy)
    added = [text(path) for path in paths if path not in there]
    shipped["builds"][settings["name"]] = {"saved": [text(path) for path in there], "added": added, "known": known}
    write_json(raw(settings["record"]), SHIPPED, shipped)


def saved(settings: dict[str, Any], path: bytes) -> bytes:
    return os.path.join(raw(settings["record"]), b"built", b"before", raw(settings["name"]), path)


def order(path: bytes) -> tuple[bool, bool, bytes]:
    """Pages come after what they load, and the first page last."""
    return path.endswith((b".html", b".htm")), path == b"index.html", path


def files_of(number: int) -> str:
    return counted(number, "%s file", "%s files")
