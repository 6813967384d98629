"""Draw how long every request of an update took, for both sides: an SVG for light pages and for dark ones."""

import math
from collections.abc import Callable, Iterable, Iterator
from xml.sax.saxutils import escape

from tests.bench.figures import Request, Sample

WIDTH, PANEL, LEFT, RIGHT = 960, 260, 78, 20
# Above the first panel: the title and the legend; above each panel: its heading.
HEAD, ABOVE, FOOT = 40, 54, 50
# How far from each other the names of steps stand at least.
NAME = 12
# The axis of the latency, in seconds; what is out of its range is drawn at its edge.
DECADES = {0.001: "1 ms", 0.01: "10 ms", 0.1: "100 ms", 1.0: "1 s", 10.0: "10 s"}
DOORS = {"nginx": "through Nginx", "direct": "directly", "scheduler": "the scheduler's"}
SIDES = {"ours": "inv hot-update", "script": "shell script of the runbook"}
# It has a ground of its own: the page may be dark where the reader's system is light.
STYLE = """
svg { font: 12px system-ui, sans-serif; }
.ground { fill: #ffffff; } text { fill: #24292f; } .quiet { fill: #57606a; }
.grid { stroke: #d8dee4; } .frame { fill: none; stroke: #8c959f; } .end { stroke: #24292f; stroke-dasharray: 4 3; }
.step { fill: #eef1f4; }
.nginx { fill: #0969da; } .direct { fill: #bf8700; } .scheduler { fill: #8250df; }
.failed { stroke: #cf222e; stroke-width: 1.6; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; } text { fill: #e6edf3; } .quiet { fill: #8d96a0; }
  .grid { stroke: #30363d; } .frame { stroke: #6e7681; } .end { stroke: #e6edf3; }
  .step { fill: #1c2129; } .nginx { fill: #58a6ff; } .direct { fill: #e3b341; } .scheduler { fill: #bc8cff; }
  .failed { stroke: #ff7b72; }
}
"""


def plot(samples: Iterable[Sample]) -> str:
    """Draw samples of one case below each other on one time axis, which begins with each one's update."""
    drawn = tuple(samples)
    first = min(request.at - sample.begin for sample in drawn for request in sample.requests)
    last = max(request.at - sample.begin for sample in drawn for request in sample.requests)
    height = HEAD + len(drawn) * (ABOVE + PANEL) + FOOT
    title = f"Latency of every request during an update: {drawn[0].case}, {drawn[0].rate} requests/s"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
        _text(LEFT, 26, title, size=16),
        *_legend(),
    ]
    for number, sample in enumerate(drawn):
        parts += _panel(sample, HEAD + number * (ABOVE + PANEL) + ABOVE, first, last)
    parts += [
        _text((LEFT + WIDTH - RIGHT) / 2, height - 10, "seconds since the update began", anchor="middle"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(sample: Sample, top: float, first: float, last: float) -> Iterator[str]:
    """Draw one sample: the steps behind the grid, and the requests before it."""

    def x(at: float) -> float:
        return LEFT + (at - sample.begin - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    told = f"{SIDES[sample.side]}: {sample.wall:.1f} s, {sample.failed} of {len(sample.meanwhile)} requests failed"
    yield _text(LEFT, top - 12, told, size=14)
    yield from _steps(sample, x, top)
    yield from _grid(x, sample.begin, top, first, last)
    for at in (x(sample.begin), x(sample.end)):
        yield f'<line class="end" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + PANEL}"/>'
    for request in sample.requests:
        yield _mark(request, x(request.at), _y(request.seconds, top))


def _steps(sample: Sample, x: Callable[[float], float], top: float) -> Iterator[str]:
    """Draw every second step's ground a shade darker, and the names upright, moved on where they would touch."""
    for step in sample.steps[::2]:
        begin, end = x(step.begin), x(step.end)
        yield f'<rect class="step" x="{begin:.1f}" y="{top}" width="{end - begin:.1f}" height="{PANEL}"/>'
    at = 0.0
    for step in sample.steps:
        at = max(x(step.begin), at) + NAME
        turned = f'transform="rotate(-90 {at:.1f} {top + 6})"'
        yield f'<text class="quiet" x="{at:.1f}" y="{top + 6}" text-anchor="end" {turned}>{escape(step.name)}</text>'


def _grid(x: Callable[[float], float], begin: float, top: float, first: float, last: float) -> Iterator[str]:
    for seconds, label in DECADES.items():
        y = _y(seconds, top)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 8, y + 4, label, anchor="end")
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100) if (last - first) / step <= 16)
    for second in range(math.ceil(first / every) * every, math.floor(last) + 1, every):
        at = x(begin + second)
        yield f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{top + PANEL}"/>'
        yield _text(at, top + PANEL + 16, f"{second}", anchor="middle")
    yield f'<rect class="frame" x="{LEFT}" y="{top}" width="{WIDTH - LEFT - RIGHT}" height="{PANEL}"/>'
    middle = top + PANEL / 2
    yield f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">latency</text>'


def _y(seconds: float, top: float) -> float:
    low, high = math.log10(min(DECADES)), math.log10(max(DECADES))
    share = (math.log10(max(seconds, min(DECADES))) - low) / (high - low)
    return top + PANEL * (1 - min(share, 1))


def _mark(request: Request, x: float, y: float) -> str:
    """Draw a good request as a dot of its door's colour, a failed one as a cross."""
    if request.good:
        return f'<circle class="{request.door}" cx="{x:.1f}" cy="{y:.1f}" r="1.7"/>'
    return f'<path class="failed" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0-6l-6 6"/>'


def _legend() -> Iterator[str]:
    at, y = WIDTH - RIGHT - 386.0, 48
    for door, label in DOORS.items():
        yield f'<rect class="{door}" x="{at}" y="{y - 9}" width="9" height="9" rx="4.5"/>' + _text(at + 14, y, label)
        at += 34 + 6 * len(label)
    yield f'<g class="failed"><line x1="{at}" x2="{at + 8}" y1="{y - 8}" y2="{y}"/>'
    yield f'<line x1="{at}" x2="{at + 8}" y1="{y}" y2="{y - 8}"/></g>' + _text(at + 14, y, "failed")


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'
