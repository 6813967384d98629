"""Runs while they go on, on a terminal: their steps with state, time and last words, drawn again and again.

A run alone has a line for each of its steps, until these are over; of several runs each has one line.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from deploy import report
from deploy.board import Board
from deploy.message import Printed, Told, say
from deploy.progress import Progress, Seen
from deploy.runs import Event

if TYPE_CHECKING:
    from rich.console import RenderableType

# What is seen on the board; everything else is told in a line above it.
OF_STEPS = ("begin", "line", "message", "end", "holding")
OF_ENDS = ("confirming", "confirmed", "undo-begin", "undo-end")
# With the first of these a run alone has no more steps to show.
AFTER_STEPS = ("confirming", "undo", "done", "gone")
_MARKS = {"waiting": "·", "running": "▸", "done": "✓", "failed": "✗"}
_STYLES = {"waiting": "dim", "running": "bold", "done": "green", "failed": "red"}
_STAGES = {
    "stepping": ("▸", "bold"),
    "proving": ("▸", "bold"),
    "undoing": ("◂", "red"),
    "done": ("✓", "green"),
    "ended": ("✗", "red"),
}
# Columns that are left free, for the ^C that a terminal shows.
MARGIN = 3
# A style, and the cells of a line.
Row = tuple[str, Told, Told, Told, Told]


@contextmanager
def following(parts: Mapping[str, tuple[report.Report, Sequence[str]]]) -> Iterator[None]:
    """Show runs while they are followed: of each host its report, and the names of its steps as far as they are known.

    Where there is no terminal the reports tell each line as it comes, with the time of day.
    """
    if not (Board.possible() and all(told.draws for told, _ in parts.values())):
        with report.timed():
            yield
        return
    with ExitStack() as stack:
        live = _Live({name: Progress.of(names) for name, (_, names) in parts.items()}, stack)
        for name, (told, _) in parts.items():
            told.live = partial(live.hear, name)
        try:
            yield
        finally:
            for told, _ in parts.values():
                told.live = None


class _Live:
    def __init__(self, runs: dict[str, Progress], stack: ExitStack) -> None:
        self._runs, self._stack = runs, stack
        self._board = Board(self._content, report.writing)
        stack.enter_context(report.below(self._board))

    def hear(self, name: str, event: Event) -> bool:
        """Learn from an event of a host's run; is it seen on the board?"""
        alone = len(self._runs) == 1
        if alone and event.kind in AFTER_STEPS:
            self._board.close()
        if not self._board.is_open:
            return False
        with report.writing:
            self._runs[name] = self._runs[name].hear(event, time.monotonic())
        return event.kind in OF_STEPS or (not alone and event.kind in OF_ENDS)

    def _content(self) -> "RenderableType":
        if len(self._runs) == 1:
            rows = [_of_step(step) for progress in self._runs.values() for step in progress.steps]
        else:
            rows = [_of_run(name, progress) for name, progress in self._runs.items()]
        return _aligned(rows, max(self._board.width - MARGIN, report.NARROW))


def _aligned(rows: Sequence[Row], width: int) -> "RenderableType":
    """Lay out rows of a style and cells, each in a line, of which the last is cut where there is no room for it."""
    from rich.cells import cell_len, set_cell_size
    from rich.console import Group
    from rich.text import Text

    shown = [(style, list(map(report.shown, cells))) for style, *cells in rows]
    widths = [max(map(cell_len, column)) for column in zip(*(cells for _, cells in shown), strict=True)]
    lines = []
    for style, (*first, last) in shown:
        line = Text("".join(set_cell_size(cell, room) + "  " for cell, room in zip(first, widths, strict=False)), style)
        line.append(last, "dim")
        line.truncate(width, overflow="ellipsis")
        line.rstrip()
        lines.append(line)
    return Group(*lines)


def _of_step(step: Seen) -> Row:
    return _STYLES[step.state], Printed(_MARKS[step.state]), Printed(step.name), _took(step), _one_line(step.last)


def _of_run(name: str, progress: Progress) -> Row:
    mark, style = _STAGES[progress.stage]
    step = progress.current
    if progress.stage != "stepping" or not step:
        return style, Printed(mark), Printed(name), Printed(""), progress.told
    at = say("%s %s/%s", step.name, progress.done + (step.state == "running"), len(progress.steps))
    told = progress.told or step.last
    return style, Printed(mark), Printed(name), at, say("%s  %s", _took(step), _one_line(told))


def _took(step: Seen) -> Told:
    if step.state == "waiting":
        return Printed("")
    seconds = time.monotonic() - step.since if step.state == "running" else step.took
    return say("%s s", f"{seconds:.0f}" if step.state == "running" else f"{seconds:.1f}")


def _one_line(told: Told) -> Told:
    return Printed(told.strip()) if isinstance(told, str) else told
