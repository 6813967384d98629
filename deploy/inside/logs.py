"""Tell the last lines of the container's logs, and what is added to them, whatever rotates them.

A program of its own, which changes nothing and ends with its stdin. It answers in records: found SOURCE DEVICE
POSITION · absent SOURCE · packed SOURCE FILE, which may have earlier lines · unread SOURCE WHY · line SOURCE MOMENT
POSITION TEXT, without a moment where it goes on with the line before it · read NAME, once all is told that was there. A
source is CONTAINER:FILE; a position tells a later one of us where to go on: how many bytes of the file have been told,
and a sum of the last of these, by which the file is known again.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import stat
import sys
import time
import zlib
from typing import IO, Any, NamedTuple

from deploy.inside.message import message
from deploy.inside.moments import moment

BLOCK = 65536
# Of a line so many bytes are told, which is where whoever takes out secrets sees that it was cut off.
LONGEST = 65536
# Bytes before a position by which a file is known again.
KNOWN_BY = 64
# Bytes in which a line with a time is looked for.
NEAR = 1 << 20
# Seconds between two looks, and for which a file is looked at that was renamed: its writer may not have noticed.
PAUSE, FORMER_SECONDS = 0.25, 60.0


class Wanted(NamedTuple):
    """What is asked for: at most `tail` of the last lines of each file, from `since` until before `until`."""

    tail: int
    since: float | None
    until: float | None
    follow: bool


def record(*fields: bytes) -> None:
    escaped = (
        field.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        for field in fields
    )
    sys.stdout.buffer.write(b"\t".join(escaped) + b"\n")


def line_at(stream: IO[bytes], place: int, end: int) -> tuple[int, float | None]:
    """Give the place of the first line with a time that begins at a place or after it, and that time."""
    limit = min(end, place + NEAR)
    stream.seek(max(place - 1, 0))
    if place:
        # The line before it may end right there.
        stream.readline()
    while stream.tell() < limit:
        at = stream.tell()
        when = moment(stream.readline(LONGEST))
        if when is not None:
            return at, when
    return end, None


def first_since(stream: IO[bytes], when: float, end: int) -> int:
    """Find where the lines of a moment and later ones begin: their times grow."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        _, told = line_at(stream, middle, end)
        if told is not None and told < when:
            low = middle + 1
        else:
            high = middle
    return line_at(stream, low, end)[0]


def last_lines(stream: IO[bytes], count: int, begin: int, end: int) -> tuple[int, int]:
    """Find where the last lines of a part begin, and how many there are."""
    if count == 0:
        return end, 0
    place, found = end, 0
    while place > begin:
        size = min(BLOCK, place - begin)
        place -= size
        stream.seek(place)
        block = stream.read(size)
        # The newline at the end is the last line's own.
        block = block[:-1] if place + size == end else block
        newlines = block.count(b"\n")
        if found + newlines >= count:
            for _ in range(found + newlines - count + 1):
                at = block.find(b"\n")
                place, block = place + at + 1, block[at + 1 :]
            return place, count
        found += newlines
    return begin, found + 1 if end > begin else 0


class Log:
    """A file by its name: the place up to which its lines have been told, and the bytes before that."""

    def __init__(self, source: bytes, path: str) -> None:
        self.source, self.path = source, path
        self.file: io.FileIO | None = None
        self.place, self.before = 0, b""
        # Has a line had a time? And what stands for one until then; without it, the file's own.
        self.timed = False
        self.first: float | None = None
        # The file that had the name before, and until when it is looked at.
        self.former: Log | None = None
        self.until = 0.0

    def open(self) -> None:
        """Open it; a pipe or a device would keep us waiting."""
        if not stat.S_ISREG(os.stat(self.path).st_mode):
            raise OSError(0, message("it is no regular file"))
        self.file = io.FileIO(self.path)

    @property
    def _descriptor(self) -> int:
        assert self.file, "told of only once it is open"
        return self.file.fileno()

    def _read(self) -> io.BufferedReader:
        """Read it afresh: a buffer that is kept would have what was there before it was emptied."""
        return io.BufferedReader(io.FileIO(self._descriptor, closefd=False), BLOCK)

    @property
    def _about(self) -> os.stat_result:
        return os.fstat(self._descriptor)

    def tell_found(self) -> None:
        about = self._about
        record(b"found", self.source, b"%d:%d" % (about.st_dev, about.st_ino), self._position)

    @property
    def _position(self) -> bytes:
        return b"%d:%d" % (self.place, zlib.crc32(self.before))

    def known_at(self, place: int, sum: int) -> bool:
        """Is this the file of which so much has been told?"""
        return self._about.st_size >= place and zlib.crc32(self._bytes_before(place)) == sum

    def _bytes_before(self, place: int) -> bytes:
        size = min(KNOWN_BY, place)
        return os.pread(self._descriptor, size, place - size)

    def go_to(self, place: int) -> None:
        self.place, self.before = place, self._bytes_before(place)

    def tell(self, end: int | None = None) -> None:
        """Tell the whole lines from our place on, up to those that begin at an end."""
        stream = self._read()
        stream.seek(self.place)
        while end is None or self.place < end:
            line = stream.readline(LONGEST + 1)
            if not line or (self._at_line and not line.endswith(b"\n") and len(line) <= LONGEST):
                return
            self._pass(line)

    def finish(self) -> None:
        """Tell the last line, where that is the next one, although it has no end."""
        line = os.pread(self._descriptor, LONGEST, self.place)
        if b"\n" not in line:
            self._pass(line)

    @property
    def _at_line(self) -> bool:
        """Does a line begin at our place? What is left of one that is too long might have half of a secret."""
        return self.before[-1:] in (b"", b"\n")

    def _pass(self, line: bytes) -> None:
        tell = line and self._at_line
        self.place, self.before = self.place + len(line), (self.before + line)[-KNOWN_BY:]
        if tell:
            self._tell_line(line)

    def _tell_line(self, line: bytes) -> None:
        if len(line) < LONGEST or line.endswith(b"\n"):
            # A file that was emptied under its writer begins with as many NULs as it had bytes.
            line = line.rstrip(b"\r\n").replace(b"\0", b"")
        else:
            # What is as long is known to be cut off.
            line = line[:LONGEST].replace(b"\0", b" ")
        when = moment(line)
        if when is None and not self.timed:
            when = self._about.st_mtime if self.first is None else self.first
        elif when is not None:
            self.timed = True
        record(b"line", self.source, b"" if when is None else b"%.6f" % when, self._position, line)

    def tell_last(self, wanted: Wanted) -> None:
        """Tell what is wanted of what is there, and of the files before this one where that is not enough."""
        begin, end, count = self._part(wanted)
        for earlier, before, until in reversed(self._enough(wanted, begin, count)):
            earlier.timed = self.timed
            earlier._tell_part(before, until)
            earlier.finish()
            self.timed = earlier.timed
        self._tell_part(begin, end)
        if not wanted.follow and wanted.until is None:
            self.finish()

    def _enough(self, wanted: Wanted, begin: int, count: int) -> list[tuple[Log, int, int]]:
        """Find the parts of earlier files that are wanted before one that begins there: the newest first."""
        parts: list[tuple[Log, int, int]] = []
        while begin == 0 and count < wanted.tail and (earlier := self._earlier(len(parts) + 1)):
            begin, end, more = earlier._part(wanted._replace(tail=wanted.tail - count))
            count += more
            parts.append((earlier, begin, end))
        packed = f"{self.path}.{len(parts) + 1}.gz"
        if wanted.since is not None and begin == 0 and count < wanted.tail and os.path.exists(packed):
            record(b"packed", self.source, os.fsencode(packed))
        return parts

    def _part(self, wanted: Wanted) -> tuple[int, int, int]:
        """Find where what is wanted begins and ends, and how many lines it has."""
        begin, end = 0, self._about.st_size
        # Where no line has a time, that of the file counts.
        if line_at(self._read(), 0, end)[1] is None:
            begin = end if wanted.since is not None and self._about.st_mtime < wanted.since else 0
        else:
            end = end if wanted.until is None else first_since(self._read(), wanted.until, end)
            begin = 0 if wanted.since is None else first_since(self._read(), wanted.since, end)
        begin, count = last_lines(self._read(), wanted.tail, begin, end)
        return begin, end, count

    def _tell_part(self, begin: int, end: int) -> None:
        self.first = line_at(self._read(), begin, end)[1]
        self.go_to(begin)
        self.tell(end)

    def _earlier(self, number: int = 1) -> Log | None:
        """Open a file that had the name before: logrotate, Supervisor and Python call it so."""
        earlier = Log(self.source, f"{self.path}.{number}")
        try:
            earlier.open()
        except OSError:
            return None
        return earlier

    def resume(self, place: int, sum: int) -> None:
        """Go on where so much has been told; what was rotated since is told to its end first, and then this anew."""
        if self.known_at(place, sum):
            self.go_to(place)
            return
        earlier = self._earlier()
        if earlier and earlier.known_at(place, sum):
            earlier.timed = self.timed
            earlier.go_to(place)
            earlier.tell()
            earlier.finish()
        self.go_to(0)

    def look(self, now: float) -> None:
        """Tell what has come since the last look."""
        if self.former:
            self.former.tell()
            if now > self.former.until:
                self.former.finish()
                self.former = None
        if self.file:
            if self._bytes_before(self.place) != self.before:
                # It was emptied under its writer, and may have grown since beyond our place; a copy may be there.
                self.resume(self.place, zlib.crc32(self.before))
            self.tell()
        with contextlib.suppress(OSError):
            # Renamed, there is none until its writer makes the next one.
            about = os.stat(self.path)
            if not self.file or (about.st_dev, about.st_ino) != (self._about.st_dev, self._about.st_ino):
                self._begin_anew(now)

    def _begin_anew(self, now: float) -> None:
        former, self.file = self.file, None
        if self.former:
            self.former.finish()
        if former:
            # Its writer may not have noticed yet.
            self.former = Log(self.source, self.path)
            self.former.file, self.former.timed, self.former.until = former, self.timed, now + FORMER_SECONDS
            self.former.go_to(self.place)
            self.former.tell()
        self.open()
        self.go_to(0)
        self.tell_found()
        self.tell()


def main(told: str) -> None:
    """Tell what is asked for, and with `follow` go on."""
    asked: dict[str, Any] = json.loads(told)
    wanted = Wanted(asked["tail"], asked["since"], asked["until"], asked["follow"])
    logs = [Log(os.fsencode(f"{asked['container']}:{path}"), path) for path in asked["files"]]
    for log in logs:
        try:
            log.open()
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                record(b"unread", log.source, os.fsencode(error.strerror or ""))
            elif not asked["optional"]:
                record(b"absent", log.source)
            continue
        position = asked["positions"].get(os.fsdecode(log.source))
        # By its device it is known where another container has it too, and that has to be known first.
        log.tell_found()
        if position:
            log.resume(*map(int, position.split(":")))
            log.tell()
        else:
            log.tell_last(wanted)
        log.tell_found()
    record(b"read", os.fsencode(f"{asked['container']}:files"))
    sys.stdout.flush()
    while wanted.follow and not _ended():
        for log in logs:
            log.look(time.monotonic())
        sys.stdout.flush()


def _ended() -> bool:
    """Wait a moment; whoever asked has gone once our stdin ends."""
    ready, _, _ = select.select([0], [], [], PAUSE)
    return bool(ready) and not os.read(0, BLOCK)
