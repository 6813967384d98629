"""What we keep on the host, read as what it may be by now: cut off, damaged, from an older or a newer version."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from deploy.message import Message, counted, say
from deploy.state.model import Maintained, PastRun, Probed

Rows = Iterable[tuple[str, ...]]

# A part of a path on the host, and so nothing that leads elsewhere.
RUN = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
# Git's name of a commit or a blob; nothing where there is none.
OBJECT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}|")
# The last second of the last year that has a date.
LATEST = 253402300799


def history(rows: Rows) -> tuple[tuple[PastRun, ...], tuple[Message, ...]]:
    """Give the runs that the history tells, and say which records of it are none."""
    runs, damaged = [], []
    for number, row in enumerate(rows, 1):
        try:
            runs.append(past_run(row))
        except ValueError:
            # What was cut off leaves an empty line at times, which says nothing and is no loss.
            damaged += [number] if any(row) else []
    if not damaged:
        return tuple(runs), ()
    many = counted(len(damaged), "%s record", "%s records")
    return tuple(runs), (
        say("history: passed over %s that cannot be understood, the last one in line %s", many, damaged[-1]),
    )


def past_run(row: tuple[str, ...]) -> PastRun:
    """Read a record of the history, ValueError where it is none; older ones have no probe, newer ones may have more."""
    if len(row) < 10:
        raise ValueError(say("a record that was cut off"))
    ended, run, verb, operator, was, revision, began, outcome, why, steps, probe, *_ = (*row, "")
    if not (RUN.fullmatch(run) and OBJECT.fullmatch(was) and OBJECT.fullmatch(revision) and verb and outcome):
        raise ValueError(say("a record that names no run"))
    return PastRun(
        when(ended), run, verb, operator, was, revision, when(began), outcome, why, _steps(steps), _probed(probe)
    )


def holder(rows: Rows) -> tuple[dict[str, str], tuple[Message, ...]]:
    """Give what is known of the lock's holder, and say where that is not even its run."""
    told = {row[0]: row[1] for row in rows if len(row) > 1}
    if not rows or RUN.fullmatch(told.get("run", "")):
        return told, ()
    return {**told, "run": ""}, (say("holder: the file does not say which run has the lock"),)


def moment(told: str) -> datetime:
    """Read a moment as the engine or the host's clock tells it, both in UTC; of the engine's, whole seconds."""
    return datetime.strptime(told.replace("-", "").replace(":", "")[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def maintained(rows: Rows) -> tuple[tuple[Maintained, ...], tuple[Message, ...]]:
    """Give the containers that have the maintenance page, as far as that can be understood."""
    found = []
    try:
        for name, id, run, since, *_ in rows:
            found.append(Maintained(name, id, run if RUN.fullmatch(run) else "", when(since)))
    except ValueError:
        return tuple(found), (say("maintenance: the file cannot be understood"),)
    return tuple(found), ()


def when(seconds: str) -> int:
    """Read a moment in seconds since the epoch."""
    found = number(seconds)
    if found > LATEST:
        raise ValueError(say("no such moment"))
    return int(found)


def number(told: str) -> float:
    """Read a number that is neither negative nor endless; Python would take signs, spaces and other digits too."""
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?(e-[0-9]{1,3})?", told):
        raise ValueError(say("not a number"))
    return float(told)


def _steps(told: str) -> tuple[tuple[str, int, float], ...]:
    steps = (step.split(" ") for step in told.split(",") if step)
    return tuple((name, int(number(status)), number(seconds)) for name, status, seconds in steps)


def _probed(told: str) -> Probed | None:
    if not told:
        return None
    requests, failed, gap, slowest, *waited = told.split(" ")
    longest = number(waited[0]) if waited else None
    return Probed(int(number(requests)), int(number(failed)), number(gap), number(slowest), longest)
