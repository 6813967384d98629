"""What was measured, and what is made of it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Literal

Side = Literal["ours", "script"]


@dataclass(frozen=True)
class Request:
    """One request to production: through which door, when it began (epoch), how long it took; times in seconds."""

    door: str
    at: float
    seconds: float
    good: bool


@dataclass(frozen=True)
class Span:
    """A step of a run, with the moments (epoch) between which it ran."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True)
class Sample:
    """One measured update: when it ran (epoch), and the requests of a client that asked `rate` times a second.

    The requests before `begin` tell what is normal; those after `end` show at once what the update left behind.
    """

    case: str
    side: Side
    rate: int
    begin: float
    end: float
    requests: tuple[Request, ...]
    steps: tuple[Span, ...] = ()

    @property
    def wall(self) -> float:
        return self.end - self.begin

    @property
    def meanwhile(self) -> tuple[Request, ...]:
        """The requests that the update could meet, those under way when it began included."""
        return tuple(request for request in self.requests if request.at + request.seconds >= self.begin)

    @property
    def failed(self) -> int:
        return sum(not request.good for request in self.meanwhile)

    @property
    def slowest(self) -> float:
        return max(request.seconds for request in self.meanwhile)

    @property
    def normal(self) -> float:
        """The median latency just before the update."""
        return median(request.seconds for request in self.requests if request.at + request.seconds < self.begin)

    @property
    def gap(self) -> float:
        """The longest time without a good answer through one door."""
        last = max(request.at + request.seconds for request in self.requests)
        return max(longest_gap(self.begin, of_door(self.requests, door), last) for door in doors(self.requests))


@dataclass(frozen=True)
class Row:
    """A case in figures, in seconds; its fields are the keys of the JSON file. None: no such figure in this case."""

    case: str
    ours_s: float | None = None
    script_s: float | None = None
    wall_ratio: float | None = None
    failed_requests: int | None = None
    script_failed_requests: int | None = None
    longest_gap_s: float | None = None
    script_longest_gap_s: float | None = None
    slowest_request_s: float | None = None
    normal_request_s: float | None = None
    runs: int = 0
    # What the same machine needs in the same run for a proof, a worker's boot and the scheduler's start.
    floor_s: float | None = None
    floor_ratio: float | None = None

    def above(self, floor: float) -> "Row":
        """Set our time against that, too."""
        return self if self.ours_s is None else replace(self, floor_s=floor, floor_ratio=self.ours_s / floor)


@dataclass(frozen=True)
class Measured:
    """What came of a case; remarks tell people what the rows have no room for."""

    rows: tuple[Row, ...]
    remarks: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()


def compared(samples: Sequence[Sample]) -> Row:
    """Set both sides of a case against each other: failures summed, the slowest request of all, else medians."""
    ours = [sample for sample in samples if sample.side == "ours"]
    script = [sample for sample in samples if sample.side == "script"]
    walls = median(sample.wall for sample in ours), median(sample.wall for sample in script)
    return Row(
        case=samples[0].case,
        ours_s=walls[0],
        script_s=walls[1],
        wall_ratio=walls[0] / walls[1],
        failed_requests=sum(sample.failed for sample in ours),
        script_failed_requests=sum(sample.failed for sample in script),
        longest_gap_s=median(sample.gap for sample in ours),
        script_longest_gap_s=median(sample.gap for sample in script),
        slowest_request_s=max(sample.slowest for sample in ours),
        normal_request_s=median(sample.normal for sample in ours),
        runs=len(ours),
    )


def against(case: str, measured: Sequence[float], yardstick: Sequence[float]) -> Row:
    """Set the median of a time against that of another one."""
    one, other = median(measured), median(yardstick)
    return Row(case, ours_s=one, script_s=other, wall_ratio=one / other, runs=len(measured))


def longest_gap(begin: float, requests: Iterable[Request], end: float) -> float:
    """Find the longest time without a good answer between two moments."""
    good = (request.at + request.seconds for request in requests if request.good)
    moments = [begin, *sorted(at for at in good if begin < at < end), end]
    return max(later - sooner for sooner, later in pairwise(moments))


def quantile(values: Iterable[float], share: float) -> float:
    """Return the least of the values that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def doors(requests: Iterable[Request]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(request.door for request in requests))


def of_door(requests: Iterable[Request], door: str) -> list[Request]:
    return [request for request in requests if request.door == door]
