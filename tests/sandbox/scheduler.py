"""What the scheduler of today's shape has written down of itself."""

from dataclasses import dataclass
from itertools import pairwise

from deploy.sandbox.compose import execute
from deploy.sandbox.home import Sandbox

LIFE = "/app/userdata/scheduler_life"


@dataclass(frozen=True)
class Span:
    """A process that ran the jobs: from when to when, in seconds, and the seconds whose jobs it ran."""

    pid: int
    begin: float
    end: float
    jobs: tuple[int, ...] = ()


def spans(life: str) -> list[Span]:
    """Read the record, in the order in which they began. A process may have the id of one that has ended."""
    found: list[Span] = []
    latest: dict[int, int] = {}
    for line in life.splitlines():
        word, pid, time = line.split()
        if word == "begin":
            latest[int(pid)] = len(found)
            found.append(Span(int(pid), float(time), float(time)))
            continue
        at = latest[int(pid)]
        span = found[at]
        jobs = (*span.jobs, int(time)) if word == "job" else span.jobs
        found[at] = Span(span.pid, span.begin, max(span.end, float(time)), jobs)
    return found


def life(sandbox: Sandbox) -> list[Span]:
    return spans(execute(sandbox.app, "cat", LIFE))


def overlaps(found: list[Span]) -> list[tuple[Span, Span]]:
    """Return those of which the later one began before the earlier one's last beat."""
    return [(one, other) for one, other in pairwise(found) if other.begin <= one.end]


def twice(found: list[Span]) -> list[int]:
    """Return the seconds whose jobs were run more than once."""
    ran = [second for span in found for second in span.jobs]
    return sorted({second for second in ran if ran.count(second) > 1})
