"""Judge what is sent to browsers for the files of the release: whether it is these, and for how long it is kept."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from deploy import backups, builds, remedies
from deploy.diagnosis.facts import Facts, File, Sent
from deploy.message import Message, Told, say
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names

HTML = "text/html"
# A name that is another one whenever the content is: app-1a2b3c4d.js.
HASHED = re.compile(r"[-.](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{8,}\.[A-Za-z0-9.]+$")
# So many files are shown.
SHOWN = 5


@dataclass(frozen=True)
class Served:
    """What is wrong with what is sent."""

    cause: Told
    evidence: tuple[Told, ...]
    remedies: tuple[Told, ...]


def judge(settings: Settings, state: State, facts: Facts) -> Iterator[Served]:
    """Find what is old at its source, or on the way to browsers."""
    yield from _stale(settings, state)
    files = {file.path: file for file in facts.files}
    served = _served(facts, files)
    old = [one for one in served if one.sum != files[one.path].sum]
    for door in dict.fromkeys(one.door for one in old):
        yield _old(settings, facts, files, served, [one for one in old if one.door == door])
    yield from _lacking(settings, facts)


def _served(facts: Facts, files: Mapping[str, File]) -> list[Sent]:
    return [one for one in facts.sent if one.path in files and _serves(facts, files, one)]


def _stale(settings: Settings, state: State) -> Iterator[Served]:
    for name in builds.stale(state):
        place = f"{settings.target.path}/{settings.built[name].path}"
        cause = say("%s was built from other sources than those of the release that runs", name)
        yield Served(cause, (), (remedies.build(place),))


def _serves(facts: Facts, files: Mapping[str, File], one: Sent) -> bool:
    """Is it this file that is meant to be sent there? What a door does not know it may answer with a page."""
    if one.status != 200:
        return False
    if not one.path.endswith(("/", ".html")):
        return not one.kind.startswith(HTML)
    folder = files[one.path].folder
    beside = {file.path for file in files.values() if file.folder == folder and not file.path.endswith(("/", ".html"))}
    return any(
        other.door == one.door and other.path in beside and other.status == 200 and not other.kind.startswith(HTML)
        for other in facts.sent
    )


def _old(
    settings: Settings, facts: Facts, files: Mapping[str, File], served: Sequence[Sent], old: Sequence[Sent]
) -> Served:
    """Say what a door sends that is not the file in the container, and who sends that."""
    door, paths = old[0].door, {one.path for one in old}
    right = {one.door for one in served if one.path in paths and one.sum == files[one.path].sum}
    evidence = [_sent(one, files[one.path]) for one in old[:SHOWN]]
    cause = say("%s sends other content than the release has: %s", _door(facts, door), names(sorted(paths)))
    if right:
        evidence.append(say("%s sends the release's: a cache on the way has kept the old", names(sorted(right))))
        return Served(cause, tuple(evidence), (remedies.clean(settings.target.name), remedies.RELOAD_PAGE))
    return Served(cause, tuple(evidence), (remedies.restart(settings.target.name), remedies.RELOAD_PAGE))


def _door(facts: Facts, name: str) -> Message:
    return say("%s (%s)", name, facts.doors.get(name, "?"))


def _sent(one: Sent, file: File) -> Message:
    kept = one.cache_control or say("nothing")
    return say("%s: sent %s, in the container %s; cache-control: %s", one.path, one.sum[:12], file.sum[:12], kept)


def _lacking(settings: Settings, facts: Facts) -> Iterator[Served]:
    """Find what a page refers to and its door does not have: a page of another build."""
    for door, paths in facts.refers.items():
        missing = sorted(one.path for one in facts.sent if one.door == door and one.path in paths and one.status == 404)
        if missing:
            cause = say("the page of %s refers to what is not there: %s", _door(facts, door), names(missing))
            built = next(iter(settings.built.values()), None)
            place = f"{settings.target.path}/{built.path}" if built else ""
            yield Served(cause, (), (remedies.build(place) if built else remedies.restart(settings.target.name),))


def kept(state: State, facts: Facts) -> Iterator[Served]:
    """Find what the last update changed and browsers may keep longer than that is ago."""
    last = next((run for run in reversed(state.history) if run.released), None)
    now = _now(state.clock)
    if last is None or now is None:
        return
    files = {file.path: file for file in facts.files}
    longest: dict[str, int] = {}
    for one in _served(facts, files):
        age, lifetime = files[one.path].seconds, lifetime_of(one)
        # Else it was as it is before that update.
        if age <= now - last.began and lifetime > age and not HASHED.search(one.path):
            longest[one.path] = max(lifetime, longest.get(one.path, 0))
    if longest:
        cause = say(
            "browsers may go on with what they have of files that the last update changed: %s", names(sorted(longest))
        )
        evidence = (
            say("they may keep it for %s, and their names stay the same", backups.age(max(longest.values()))),
            say("the update was %s ago", backups.age(int(now - last.ended))),
        )
        yield Served(cause, evidence, (remedies.RELOAD_PAGE, remedies.NAME_BY_CONTENT))


def lifetime_of(one: Sent) -> int:
    """Tell for how many seconds a browser may keep it without asking; 0 where nothing says so."""
    told = one.cache_control.lower()
    if "no-store" in told or "no-cache" in told:
        return 0
    if found := re.search(r"\bmax-age=\"?(\d{1,10})", told):
        return int(found[1])
    try:
        expires, date = parsedate_to_datetime(one.expires), parsedate_to_datetime(one.date)
        return max(0, int((expires - date).total_seconds()))
    except (ValueError, TypeError):
        return 0


def _now(clock: str) -> float | None:
    try:
        return datetime.strptime(clock, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
