"""Tell the logs of one host, or of several, as one, and follow them."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from queue import Empty, Queue
from re import Pattern

from deploy import inside, logs, shell
from deploy.beside import Beside
from deploy.errors import Exit, Failure
from deploy.host import Disconnected
from deploy.inside.moments import moment, zone
from deploy.logs import Entry, Kind, Merge
from deploy.message import NOTHING, Message, Printed, Told, say, unpack
from deploy.settings import Settings, of_service
from deploy.state import variables
from deploy.state.records import OF_LOGS
from deploy.verbs import hosts as every
from deploy.verbs.follow import GROWTH, LONGEST_PAUSE, PATIENCE, PAUSE
from deploy.verbs.hosts import Hosts
from deploy.verbs.session import Session

# How many of the last lines of each log are told, and how many where a time says which.
TAIL, LONG_TAIL = 200, 5000
# Seconds for which a line waits for earlier ones of other logs, once or twice.
TICK = 0.5
# Lines that wait to be told: then the host waits too.
ROOM = 10_000
# Seconds between two lines of a container's output that may be one: a traceback is printed at once.
AT_ONCE = 0.1
COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")


@dataclass(frozen=True)
class Wanted:
    """Which logs, and which of their lines; `ago` in seconds, `since` in seconds since the epoch.

    `bound`: nobody said how many lines.
    """

    service: str
    kind: Kind | None
    tail: int
    bound: bool
    ago: int | None
    since: float | None
    run: str
    follow: bool
    pattern: Pattern[str] | None


def wanted(*, service: str, kind: str, tail: str, follow: bool, since: str, grep: str, run: str) -> Wanted:
    """Read what the command line asks for."""
    known = next((one for one in logs.KINDS if one == kind), None)
    if kind and not known:
        raise Failure(say("--kind takes one of %s, not %s", logs.KINDS, repr(kind)), code=Exit.USAGE)
    if run and (follow or since):
        raise Failure(say("--run excludes --follow and --since: a run says itself from when to when"), code=Exit.USAGE)
    ago, at = logs.since(since) if since else (None, None)
    if tail and not (tail.isdecimal() and len(tail) < 10):
        raise Failure(say("--tail takes a number of lines, not %s", repr(tail)), code=Exit.USAGE)
    count = int(tail) if tail else LONG_TAIL if since or run else TAIL
    bound, pattern = bool(since or run) and not tail, logs.pattern(grep) if grep else None
    return Wanted(service, known, count, bound, ago, at, run, follow, pattern)


def show(session: Session, wanted: Wanted) -> None:
    """Tell the logs of a host."""
    for failure in _show((session,), wanted).values():
        raise failure


def show_all(hosts: Hosts, wanted: Wanted) -> None:
    """Tell the logs of the hosts of a group as one."""
    every.end(hosts, {**hosts.unreached, **_show(tuple(hosts.sessions.values()), wanted)})


def _show(sessions: Sequence[Session], wanted: Wanted) -> Mapping[str, Failure]:
    """Tell what is there in one go, and what comes then; give the hosts that failed."""
    hosts = [_Logs(session, wanted) for session in sessions]
    told: Queue[tuple[_Logs, str | Failure | None]] = Queue(ROOM)
    for host in hosts:
        Beside(partial(host.read, told))
    merge, failed, began, due = Merge(), dict[str, Failure](), False, 0.0
    while not all(host.over for host in hosts):
        try:
            host, line = told.get(timeout=TICK)
            host.hear(line, merge)
        except Empty:
            """Time to tell what has come."""
        except Failure as failure:
            host.over, failed[host.name] = True, failure
        if not began and all(host.ready for host in hosts):
            began = True
            if not _tell(hosts, merge.rest()):
                return failed
        elif began and time.monotonic() > due:
            due = time.monotonic() + TICK
            if not _tell(hosts, merge.due()):
                return failed
    _tell(hosts, merge.rest())
    silent = {host.name: host.silent for host in hosts if host.silent and host.name not in failed}
    return failed | silent


def _tell(hosts: Sequence["_Logs"], entries: Sequence[Entry]) -> bool:
    """Print entries; False where nobody reads them any more."""
    of = {host.name: host for host in hosts}
    for host in hosts:
        host.complain()
    width = max((len(name) for host in hosts for name in host.called.values()), default=0)
    return all(of[entry.source.partition("\n")[0]].tell(entry, width) for entry in entries)


class _Logs:
    """The logs of a host: what is known of each source, and how far it has been told."""

    def __init__(self, session: Session, wanted: Wanted) -> None:
        self.name = session.settings.target.name
        self.over = False
        self.called: dict[str, str] = {}
        self._session, self._wanted = session, wanted
        # Who has not told yet what was there.
        self._readers: set[str] | None = None
        self._positions: dict[str, str] = {}
        # The file that each source has now; and those that are another's too, since containers may share a volume.
        self._devices: dict[str, str] = {}
        self._shared: set[str] = set()
        # When the last line of a container's output came, and which of them have times of their own.
        self._latest: dict[str, float] = {}
        self._timed: set[str] = set()
        self._complaints: dict[str, Told] = {}
        self._complained: set[str] = set()
        self._told = False
        # Was the last entry of a source told?
        self._matched: dict[str, bool] = {}
        # How many lines of each source were there, and from when to when they are wanted.
        self._lengths: Counter[str] = Counter()
        self._span: tuple[float, float] = (-inf, inf)
        # What is worth a word about a log that is told.
        self._notes: list[Message] = []

    @property
    def ready(self) -> bool:
        """Has everybody told what was there?"""
        return self.over or (self._readers is not None and not self._readers)

    @property
    def silent(self) -> Failure | None:
        """The failure that it is where no log at all could be read."""
        if self._readers is None and self._wanted.kind:
            # Such as of a server that writes to its container's output.
            told = say(
                "no log of %s is of kind %s; what a container prints is of kind container", self.name, self._wanted.kind
            )
            return Failure(told, code=Exit.REFUSED)
        if self._told or not self._complained or self._positions:
            return None
        return Failure(say("no log of %s can be read", self.name))

    def read(self, told: "Queue[tuple[_Logs, str | Failure | None]]") -> None:
        """Pass on what the host says, up to a failure or the end."""
        try:
            for line in self._lines():
                if self.over:
                    return
                told.put((self, line))
            told.put((self, None))
        except Failure as failure:
            told.put((self, failure))

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                with self._session.host.stream(self._script()) as lines:
                    yield from lines
            except Disconnected as lost:
                if not self._wanted.follow:
                    raise
                self._session.report.error_line(say("%s; connecting again", lost.fact))
                self._come_back(lost)
            if not self._wanted.follow or self.over:
                return
            # A container has ended, or there is none: what comes next is read from where this one ended.
            time.sleep(PAUSE)

    def _come_back(self, lost: Disconnected) -> None:
        end, pause = time.monotonic() + PATIENCE, PAUSE
        while True:
            try:
                return self._session.reconnect()
            except Failure as failure:
                if failure.code == Exit.REFUSED or time.monotonic() > end:
                    raise lost from failure
            time.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    def _script(self) -> str:
        settings, positions = self._session.settings, dict(self._positions)
        readers = ("", settings, False), *((name, of_service(settings, name), True) for name in settings.also)
        output = [(source[:-1], place) for source, place in positions.items() if source.endswith(":")]
        asked: dict[str, shell.Variable] = {
            "wanted_service": self._wanted.service,
            "want_output": self._wanted.kind in (None, "container"),
            "want_journal": bool(self._wanted.run) and not self._wanted.kind,
            "readers": tuple(word for reader in readers for word in self._reader(*reader, positions)),
            "logs_program": inside.logs(),
            "tail": self._wanted.tail,
            "since": "" if self._wanted.since is None else f"{self._wanted.since:.6f}",
            "ago": "" if self._wanted.ago is None else str(self._wanted.ago),
            "until": "",
            "run": self._wanted.run,
            "follow": self._wanted.follow,
            "told_until": tuple(word for pair in output for word in pair),
            "record_fields": OF_LOGS,
        }
        return shell.script("redact.sh", "containers.sh", "logs.sh", **{**variables(settings), **asked})

    def _reader(self, name: str, settings: Settings, optional: bool, positions: Mapping[str, str]) -> tuple[str, ...]:
        """Say who reads which files of a container; nothing where none is wanted."""
        kind, app = self._wanted.kind, settings.app
        files = [path for path in app.logs if kind in (None, logs.kind_of(path, app.server))]
        facts = {"files": files, "positions": positions, "optional": optional}
        facts |= {"tail": self._wanted.tail, "follow": self._wanted.follow}
        return (name, app.python, json.dumps(facts)[1:-1], "\n".join(files)) if files else ()

    def hear(self, line: str | Failure | None, merge: Merge) -> None:
        """Take what the host says; a record that lacks fields was cut off on its way."""
        if line is None:
            self.over = True
        if isinstance(line, Failure):
            raise line
        match shell.fields(line or ""):
            case ("reader", name):
                self._readers = (self._readers or set()) | {name}
            case ("read", name):
                self._readers = (self._readers or set()) - {name}
                self._tell_bound(name)
            case ("run", since, until):
                self._span = float(since), float(until or inf)
            case ("found", source, device, position):
                if source not in self.called and device and device in self._devices.values():
                    self._shared.add(source)
                if source not in self._shared:
                    self._know(source)
                    self._devices[source], self._positions[source] = device, position
            case ("line", logs.JOURNAL, at, _, text):
                self._know(logs.JOURNAL)
                merge.add(self._key(logs.JOURNAL), float(at), _event(text))
            case ("line", source, at, position, text) if source in self.called:
                self._positions[source] = position
                self._take(source, at, position, unpack(text), merge)
            case ("packed", source, file):
                container = source.partition(":")[0]
                self._notes.append(say("! %s: %s may have earlier lines, but is compressed", container, file))
            case ("stopped", name):
                self._notes.append(say("! %s does not run: its files are told as it left them", name))
            case ("absent", source):
                self._complaints[source] = NOTHING
                self.called.pop(source, None)
            case ("unread", source, why):
                self._complaints[source] = unpack(why)
            case ("services", *known) if not self.called:
                service = self._wanted.service or self._session.settings.app.service
                there = tuple(filter(None, known)) or say("none")
                raise Failure(say("no container is of service %s; there are: %s", service, there), code=Exit.REFUSED)
            case ("no-run",):
                raise Failure(say("there was no run %s on %s", self._wanted.run, self.name), code=Exit.REFUSED)

    def _know(self, source: str) -> None:
        if source not in self.called:
            self.called = logs.names((*self.called, source))

    def _key(self, source: str) -> str:
        """Name a source among those of all hosts."""
        return f"{self.name}\n{source}"

    def _take(self, source: str, at: str, position: str, told: Told, merge: Merge) -> None:
        """Take a line. The engine tells a moment of each that a container prints, also of one that goes on."""
        printed = b"" if isinstance(told, Message) else told.encode("utf-8", "surrogateescape")
        if not source.endswith(":"):
            here = zone(position) if position.startswith(("+", "-")) else None
            when = moment(printed, here) if here else float(at) if at else None
            if not here or self._is_wanted(source, when):
                self._lengths[source] += 1
                merge.add(self._key(source), when, told)
            return
        self._lengths[source] += 1
        printed_at, own = moment(position.encode()) or 0.0, moment(printed) is not None
        latest, self._latest[source] = self._latest.get(source, 0.0), printed_at
        if own:
            self._timed.add(source)
        elif source in self._timed and printed_at - latest < AT_ONCE:
            merge.add(self._key(source), None, told)
            return
        merge.add(self._key(source), printed_at, told if own else say("%s %s", f"{position[:19]}Z", told))

    def _is_wanted(self, source: str, when: float | None) -> bool:
        """Is a line of a container that does not run of the time that is asked for? One without goes with others."""
        if when is not None:
            self._latest[source] = when
        since, until = self._span
        return since <= self._latest.get(source, 0.0) < until

    def _tell_bound(self, reader: str) -> None:
        """Say of which logs more lines may be wanted than are told."""
        for source in self.called if self._wanted.bound else ():
            of_reader = source.startswith(reader.removesuffix("files")) and source.endswith(":") == reader.endswith(":")
            if of_reader and self._lengths[source] >= self._wanted.tail:
                told = say("! %s: only its last %s lines are read; --tail N reads more", source, self._wanted.tail)
                self._notes.append(told)

    def tell(self, entry: Entry, width: int) -> bool:
        """Print an entry that is wanted; False where nobody reads it any more."""
        source, report = entry.source.partition("\n")[2], self._session.report
        self._matched[source] = (entry.more and self._matched.get(source, False)) or self._matches(entry)
        if not self._matched[source]:
            return True
        self._told = True
        colour = COLOURS[tuple(self.called).index(source) % len(COLOURS)]
        name = self.called[source].ljust(width)
        return all(report.log(name, entry.moment, line, colour) for line in entry.lines)

    def _matches(self, entry: Entry) -> bool:
        pattern = self._wanted.pattern
        return not pattern or bool(pattern.search("\n".join(map(self._session.report.in_words, entry.lines))))

    def complain(self) -> None:
        """Say once what cannot be read: what is not there in one line for each container."""
        while self._notes:
            self._session.report.error_line(self._notes.pop(0))
        absent: dict[str, list[str]] = {}
        for source, why in self._complaints.items():
            container, _, path = source.partition(":")
            if source in self._complained:
                continue
            self._complained.add(source)
            if why == NOTHING:
                absent.setdefault(container, []).append(path)
                continue
            what = {"": say("its output"), "files": say("its files")}.get(path, Printed(path))
            self._session.report.error_line(say("! %s: %s cannot be read: %s", container, what, why))
        for container, paths in absent.items():
            self._session.report.error_line(say("! %s: there is no %s", container, tuple(paths)))


def _event(record: str) -> Told:
    """Say what a record of a run's journal tells."""
    kind, *fields = shell.fields(record)
    match kind, fields:
        case "line" | "message", (step, told, *_):
            return say("%s: %s", step, unpack(told))
        case _:
            return say("%s %s", kind, tuple(map(unpack, fields))) if fields else Printed(kind)
