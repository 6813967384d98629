"""The figures as people read them."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from tests.bench.figures import Row, Sample, doors, of_door, quantile


def rows_table(rows: Iterable[Row]) -> Table:
    """Lay the cases out; a pair is ours / the script's."""
    made = Table()
    made.add_column("case", no_wrap=True)
    for name in ("ours", "script", "ratio", "floor", "ratio", "failed", "longest gap", "slowest", "normal", "runs"):
        made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        made.add_row(
            row.case,
            _seconds(row.ours_s),
            _seconds(row.script_s),
            "" if row.wall_ratio is None else f"{row.wall_ratio:.2f}",
            _seconds(row.floor_s),
            "" if row.floor_ratio is None else f"{row.floor_ratio:.2f}",
            _pair(row.failed_requests, row.script_failed_requests, "{}"),
            _pair(row.longest_gap_s, row.script_longest_gap_s, "{:.2f}", " s"),
            _milliseconds(row.slowest_request_s),
            _milliseconds(row.normal_request_s),
            str(row.runs),
        )
    return made


def latency_table(samples: Sequence[Sample]) -> Table:
    """Lay out what the clients met: per case, side, rate and door."""
    made = Table()
    for name in ("case", "side"):
        made.add_column(name, no_wrap=True)
    for name in ("rate", "door", "requests", "failed", "median", "99th", "slowest"):
        made.add_column(name, justify="right", no_wrap=True)
    for case, side, rate in dict.fromkeys((sample.case, sample.side, sample.rate) for sample in samples):
        alike = [one for one in samples if (one.case, one.side, one.rate) == (case, side, rate)]
        met = [request for sample in alike for request in sample.meanwhile]
        for door in doors(met):
            asked = of_door(met, door)
            took = [request.seconds for request in asked]
            failed = sum(not request.good for request in asked)
            figures = (_milliseconds(quantile(took, share)) for share in (0.5, 0.99, 1))
            made.add_row(case, side, f"{rate}/s", door, str(len(asked)), str(failed), *figures)
    return made


def _pair(ours: float | None, script: float | None, shape: str, unit: str = "") -> str:
    """Ours / the script's, which some cases have not."""
    return " / ".join(shape.format(one) for one in (ours, script) if one is not None) + (
        unit if ours is not None else ""
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value * 1000:.1f} ms"
