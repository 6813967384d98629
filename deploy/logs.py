"""The lines of several logs as one: which kind a log is, what a source is called, entries merged by their time.

A source is CONTAINER:FILE, CONTAINER: for what the container prints, or `run`, the journal of a run. An entry is a line
with a time, and those that go on with it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from pathlib import PurePosixPath
from typing import Literal, get_args

from deploy.errors import Exit, Failure
from deploy.message import Told, say

Kind = Literal["container", "server", "nginx", "supervisor", "app"]
KINDS: tuple[Kind, ...] = get_args(Kind)
JOURNAL = "run"
_SERVERS = ("gunicorn", "uwsgi")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def kind_of(path: str, server: str = "") -> Kind:
    """Tell of which kind a log is, by its name and else by its nearest folder; `server` is the app server's program."""
    *folders, name = PurePosixPath(path).parts
    words: tuple[tuple[Kind, str], ...] = (
        ("supervisor", "supervisor"),
        ("nginx", "nginx"),
        *(("server", word) for word in (*_SERVERS, server) if word),
    )
    by_name = [kind for kind, word in words if word in name]
    by_place = [kind for folder in reversed(folders) for kind, word in words if folder in (word, f"{word}d")]
    return next(iter((*by_name, *by_place)), "app")


def names(sources: Iterable[str]) -> dict[str, str]:
    """Call each source by as little as tells it from the others."""
    called = {source: _short(source) for source in sources}
    for longer in (_with_container, str):
        many = [name for name in called.values() if list(called.values()).count(name) > 1]
        called |= {source: longer(source) for source, name in called.items() if name in many}
    return called


def _short(source: str) -> str:
    container, _, path = source.partition(":")
    return PurePosixPath(path).name.removesuffix(".log") if path else container


def _with_container(source: str) -> str:
    return f"{source.partition(':')[0]}/{_short(source)}"


@dataclass
class Entry:
    """A line with a time, in seconds since the epoch, and those that go on with it; or more of one that was given."""

    source: str
    moment: float
    lines: list[Told]
    more: bool = False
    given: bool = False


class Merge:
    """Puts the lines of sources in the order of their time, each source's own order kept."""

    def __init__(self) -> None:
        # What came since the last call of `due`, and before that.
        self._fresh: list[Entry] = []
        self._waiting: list[Entry] = []
        # The last one of each source.
        self._last: dict[str, Entry] = {}

    def add(self, source: str, moment: float | None, line: Told) -> None:
        """Take a line; without a moment it goes on with its source's last one."""
        last = self._last.get(source)
        if moment is None and last and not last.given:
            last.lines.append(line)
            return
        if moment is None:
            entry = Entry(source, last.moment if last else 0.0, [line], more=last is not None)
        else:
            entry = Entry(source, moment, [line])
        self._last[source] = entry
        self._fresh.append(entry)

    def due(self) -> tuple[Entry, ...]:
        """Give what came before the last call: what goes on with it, or is earlier, has come since then."""
        entries, self._waiting, self._fresh = self._waiting, self._fresh, []
        return _merged(entries)

    def rest(self) -> tuple[Entry, ...]:
        """Give all that there is."""
        entries, self._waiting, self._fresh = [*self._waiting, *self._fresh], [], []
        return _merged(entries)


def _merged(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    sources: dict[str, list[Entry]] = {}
    for entry in entries:
        entry.given = True
        sources.setdefault(entry.source, []).append(entry)
    return tuple(merge(*sources.values(), key=lambda entry: entry.moment))


def since(told: str) -> tuple[int | None, float | None]:
    """Read how many seconds ago, such as 10m, or since when, such as 2026-07-02T10:00, here where no zone is given."""
    found = re.fullmatch(r"(\d{1,9})([smhd])", told)
    if found:
        return int(found[1]) * _UNITS[found[2]], None
    try:
        return None, datetime.fromisoformat(told).timestamp()
    except (ValueError, OverflowError):
        raise Failure(
            say("--since takes 10m, 2h, 3d or a time such as 2026-07-02T10:00, not %s", repr(told)), code=Exit.USAGE
        ) from None


def pattern(told: str) -> re.Pattern[str]:
    """Read what an entry has to match."""
    try:
        return re.compile(told)
    except re.error as error:
        raise Failure(
            say("--grep takes a regular expression, and %s is none: %s", repr(told), str(error)), code=Exit.USAGE
        ) from None
