"""What comes in over stdin and goes out over stdout: paths, git's lists of files, blobs and their ids.

*Entries* are a base's id, a NUL, `git diff-tree -r -z --no-renames --raw --no-abbrev BASE COMMIT`, and a NUL; without
a base it is the empty tree. *Blobs* are `git cat-file --batch`. Paths are bytes, relative to the app's folder; in JSON,
UTF-8 with surrogate escapes.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import Any, NamedTuple

from deploy.inside.message import ExpectedError, message

FILE, EXECUTABLE, LINK, SUBMODULE, GONE = "100644", "100755", "120000", "160000", "000000"
MIB = 1024 * 1024


class Entry(NamedTuple):
    """A file as git sees it; a folder or special file has no mode and no blob."""

    mode: str
    blob: str


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def shown(path: bytes) -> str:
    """Make a path fit for one line on a terminal."""
    letters = path.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in letters)


def answer(line: str) -> None:
    """Tell the host what it asked for."""
    sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace") + b"\n")


def ask(line: str) -> None:
    """Ask the host for what is needed next."""
    answer(line)
    sys.stdout.flush()


def ask_no_more() -> None:
    """Have the host take what follows for output."""
    ask(".")


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


def read_entries(stream: BufferedReader, base: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """Read a commit's files; `base` are those of the commit that was asked for as their base, if any."""
    entries = dict(base) if field(stream) else {}
    for header in fields(stream):
        words = header.decode("ascii", "replace").split(" ")
        path = field(stream)
        if len(words) != 5 or {b"", b".", b".."} & set(path.split(b"/")):
            raise ExpectedError("not git's list of files: %s %s", shown(header), shown(path))
        if words[1] in (SUBMODULE, GONE):
            entries.pop(path, None)
        else:
            entries[path] = Entry(words[1], words[3])
    return entries


def read_blobs(stream: BufferedReader) -> Iterator[tuple[str, bytes]]:
    """Read blobs up to the end of the input, each one proven by its id."""
    for header in iter(stream.readline, b""):
        words = header.decode("ascii", "replace").split()
        # No file has so many bytes that their number has 13 digits, and none fewer than none.
        if len(words) != 3 or words[1] != "blob" or not words[2].isdigit() or len(words[2]) > 12:
            raise ExpectedError("git did not send a blob but said: %s", shown(header.strip()))
        try:
            content = stream.read(int(words[2]))
        except MemoryError:
            raise ExpectedError("a file of %s bytes does not fit into the container's memory", words[2]) from None
        if len(content) != int(words[2]) or stream.read(1) != b"\n":
            raise ExpectedError("a file was cut off on its way into the container")
        if blob_id(content, len(words[0])) != words[0]:
            raise ExpectedError("blob %s was damaged on its way into the container", shown(words[0].encode()))
        yield words[0], content


def hasher(size: int, digits: int) -> Any:
    return hashlib.new("sha256" if digits == 64 else "sha1", b"blob %d\0" % size)


class Blobs:
    """Files' contents, which the host is asked for by their ids: `content` has those that came."""

    def __init__(self, stream: BufferedReader) -> None:
        self._arriving = read_blobs(stream)
        self.content: dict[str, bytes] = {}

    def fetch(self, wanted: dict[str, bytes]) -> None:
        """Have them sent, each with the path that it is told by where it does not come."""
        missing = {blob: path for blob, path in wanted.items() if blob not in self.content}
        for blob in sorted(missing):
            ask(blob)
        ask("")
        while not missing.keys() <= self.content.keys():
            arrived = next(self._arriving, None)
            if arrived is None:
                raise ExpectedError("the host did not send %s", shown(min(missing.values())))
            self.content.update([arrived])


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


def one_line(error: BaseException) -> str:
    """Say what an exception says; one that the operator should read is a message already."""
    if isinstance(error, ExpectedError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = error.filename and shown(os.fsencode(error.filename))
        return message("%s: %s", error.strerror, where) if where else error.strerror
    return message("%s: %s", type(error).__name__, str(error).replace("\n", " "))
