"""Record an update of a sandbox as a terminal shows it: an SVG that plays it, and shows its end where nothing may move.

What a person would do is done in a real shell on a real terminal: the command typed, the question answered. Nothing is
cut and nothing goes faster than it went.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import pexpect
import pyte

from deploy import output
from deploy.errors import Failure
from deploy.message import say
from deploy.sandbox import home, stack

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, ROWS = 100, 30
PROMPT = "$ "
# Seconds: between two typed characters, before an answer, and for which the end is looked at before it begins anew.
TYPING, READING, ENDING = 0.06, 2.5, 8.0
# Seconds until a recording that shows nothing of what is waited for is given up.
LONGEST = 300
QUESTION = "[y/N]"
# The sandbox that an update is recorded on, and the title of each language.
NAME, IMPORT_SECONDS = "demo", 2.0
TITLES = {"en": "A hot update of a sandbox with a migration, in a terminal", "zh": "终端中一次带迁移的沙箱热更新"}
# Pixels: of a cell, from line to line, around all.
CELL, LINE, EDGE = 8.4, 19, 16
STYLE = """
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre; }
.ground { fill: #ffffff; stroke: #d1d9e0; } text { fill: #24292f; }
.dim { fill: #6e7781; } .bold { font-weight: 600; }
.red { fill: #cf222e; } .green { fill: #1a7f37; } .yellow { fill: #9a6700; } .cyan { fill: #1b7c83; }
.blue { fill: #0969da; } .magenta { fill: #8250df; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; stroke: #30363d; } text { fill: #e6edf3; }
  .dim { fill: #8d96a0; }
  .red { fill: #ff7b72; } .green { fill: #3fb950; } .yellow { fill: #d29922; } .cyan { fill: #39c5cf; }
  .blue { fill: #58a6ff; } .magenta { fill: #bc8cff; }
}
.gone { visibility: hidden; }
"""
# What pyte calls some colours, and the faint text that it does not know, which is fed to it as bright black.
COLOURS = {"brown": "yellow", "brightblack": "dim"}
FAINT, BRIGHT_BLACK = "\x1b[2m", "\x1b[90m"


def record(name: str, folder: Path) -> None:
    """Record an update in each language on the sandbox of this name, or on one of our own, gone afterwards."""
    with _production(name) as sandbox:
        # The first one tells of much that later ones do not.
        subprocess.run(
            [sys.executable, "-m", "invoke", "hot-update", "--target", sandbox, "--yes"], cwd=ROOT, check=True
        )
        for lang, title in TITLES.items():
            stack.release(sandbox, "migration")
            frames = _update(sandbox, lang)
            file = folder / f"hot-update{'' if lang == 'en' else f'.{lang}'}.svg"
            file.write_text(play(frames, title), encoding="utf-8")


@contextmanager
def _production(name: str) -> Iterator[str]:
    if name or NAME in home.names():
        yield stack.load(name or NAME).name
        return
    try:
        yield stack.up(NAME, import_seconds=IMPORT_SECONDS).name
    finally:
        stack.down(NAME)
        stack.tidy()


def _update(sandbox: str, lang: str) -> list["Frame"]:
    with Terminal(lang) as terminal:
        terminal.until(PROMPT)
        terminal.type(f"inv hot-update --target {sandbox}\n")
        while terminal.until(QUESTION, PROMPT) == QUESTION:
            terminal.look(READING)
            terminal.type("y\n")
        return terminal.frames


@dataclass(frozen=True)
class Part:
    """Characters of a line that look alike, from a column on, and how many cells they take."""

    column: int
    cells: int
    text: str
    style: str


Line = tuple[Part, ...]


@dataclass(frozen=True)
class Frame:
    """What the screen showed from a time on, in seconds since the recording began."""

    at: float
    lines: tuple[Line, ...]


class Terminal:
    """A shell on a terminal, whose screen is kept each time that it changes."""

    def __init__(self, lang: str) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._screen)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        told = {"PATH": path, "HOME": os.environ["HOME"], "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self._shell = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile"],
            cwd=str(ROOT),
            env={**told, "PS1": PROMPT, "HOT_UPDATE_LANG": lang},
            dimensions=(ROWS, COLUMNS),
            encoding="utf-8",
        )
        self._began = time.monotonic()
        self.frames: list[Frame] = []

    def type(self, text: str, pause: float = TYPING) -> None:
        for character in text:
            self._shell.send(character)
            self.look(pause)

    def until(self, *ends: str) -> str:
        """Look until the last line ends with one of these, and give that."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            self.look(0.1)
            shown = [line.rstrip() for line in self._screen.display if line.strip()]
            if shown and (end := next((end for end in ends if shown[-1].endswith(end.rstrip())), "")):
                return end
        raise Failure(say("the terminal did not show %s within %s s", ends, LONGEST))

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.close(force=True)

    def look(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                came = self._shell.read_nonblocking(65536, timeout=left)
            except pexpect.TIMEOUT:
                break
            self._stream.feed(came.replace(FAINT, BRIGHT_BLACK))
            lines = tuple(self._line(row) for row in range(ROWS))
            if not self.frames or self.frames[-1].lines != lines:
                self.frames.append(Frame(time.monotonic() - self._began, lines))

    def _line(self, row: int) -> Line:
        cells = [(column, self._screen.buffer[row][column]) for column in range(COLUMNS)]
        parts = []
        for (style, _), group in groupby(cells, key=lambda cell: (_style(cell[1]), _is_wide(cell[1]))):
            there = list(group)
            text = "".join(cell.data for _, cell in there).rstrip()
            if text.strip():
                parts.append(Part(there[0][0], output.cells(text), text, style))
        return tuple(parts)


def _is_wide(cell: "pyte.screens.Char") -> bool:
    """Is it a full-width character, or the cell behind one, which is empty? Fonts differ in how wide these are."""
    return output.cells(cell.data) != 1


def _style(cell: "pyte.screens.Char") -> str:
    colour = COLOURS.get(cell.fg, cell.fg)
    return " ".join(name for name in ("" if colour == "default" else colour, "bold" if cell.bold else "") if name)


def play(frames: list[Frame], title: str) -> str:
    """Draw frames as an SVG: each line for as long as it stood there, and what stood in the end where nothing moves."""
    begin, long = frames[0].at, frames[-1].at - frames[0].at + ENDING
    height = max(row for frame in frames for row, line in enumerate(frame.lines, 1) if line)
    width, tall = round(COLUMNS * CELL + 2 * EDGE), height * LINE + 2 * EDGE
    shown = sorted(_intervals(frames, height), key=lambda one: (one[0], one[2]))
    # Those that come and go together have one rule.
    moves = {interval: f"m{number}" for number, interval in enumerate(dict.fromkeys(one[2:] for one in shown))}
    rules = [_keyframes(name, *((at - begin) / long for at in times)) for times, name in moves.items()]
    playing = "".join(f".{name} {{ animation-name: {name}; }}\n" for name in moves.values())
    last = frames[-1].at
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {tall}" role="img">',
            f"<title>{escape(title)}</title><style>{STYLE}",
            "@media (prefers-reduced-motion: no-preference) {",
            f".gone, .stays {{ animation: {long:.2f}s step-end infinite; }}",
            f"{playing}{''.join(rules)}}}</style>",
            f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{tall - 1}" rx="8"/>',
            *(
                _text(row, line, f"{'stays' if end > last else 'gone'} {moves[start, end]}")
                for row, line, start, end in shown
            ),
            "</svg>\n",
        )
    )


def _intervals(frames: list[Frame], height: int) -> Iterator[tuple[int, Line, float, float]]:
    """Give each line, by its row, with the times from which and until which it stood there."""
    ends = [frame.at for frame in frames[1:]] + [frames[-1].at + ENDING]
    for row in range(height):
        stood = zip((frame.lines[row] for frame in frames), frames, ends, strict=True)
        for line, group in groupby(stood, key=lambda one: one[0]):
            times = list(group)
            if line:
                yield row, line, times[0][1].at, times[-1][2]


def _keyframes(name: str, start: float, end: float) -> str:
    hidden, visible = "{visibility:hidden}", "{visibility:visible}"
    begins = f"0%{hidden}" if start > 0 else ""
    ends = f"{end:.3%}{hidden}" if end < 1 else ""
    return f"@keyframes {name}{{{begins}{start:.3%}{visible}{ends}100%{visible if end >= 1 else hidden}}}\n"


def _text(row: int, line: Line, classes: str) -> str:
    y = EDGE + (row + 0.75) * LINE
    return f'<text class="{classes}" y="{y:.1f}">{"".join(map(_part, line))}</text>'


def _part(part: Part) -> str:
    style = f' class="{part.style}"' if part.style else ""
    # As wide as its cells are, whatever font there is.
    place = f'x="{EDGE + part.column * CELL:.1f}" textLength="{part.cells * CELL:.1f}"'
    return f'<tspan {place} lengthAdjust="spacingAndGlyphs"{style}>{escape(part.text)}</tspan>'
