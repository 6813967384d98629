"""What people and machines read: findings, plans, progress, health, failures. Here alone messages become text."""

import getpass
import io
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any

from deploy import backups, builds, language, output, preflight, releases
from deploy.changes import Section
from deploy.errors import Failure
from deploy.message import NOTHING, Message, Printed, Told, Value, counted, say, unpack
from deploy.plan import Finding, Plan
from deploy.state import State
from deploy.wording import english, text, text_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from deploy.board import Board
    from deploy.diagnosis.case import Diagnosis
    from deploy.health import Check
    from deploy.runs import Event

HEALTH_SCHEMA = 1
# The width, in columns, that is left for lines at least where a name stands before each.
NARROW = 20
# The width, in columns, of what is no terminal.
UNBROKEN = 100_000
# How many lines of a subject a terminal shows of what a release changes.
FIRST_LINES = 10
# By how many columns more than a line what did not fit into it is indented.
HANG = 2
# One line at a time, whoever writes.
writing = threading.RLock()
# What is drawn below the lines of the terminal at the moment.
_below: "Board | None" = None
# Does each line on standard output begin with the time of day?
_timed = False
# Seconds after which an event that is told has the time of its own; within them clocks may differ.
LATE = 5.0
# Blanks at the end of a line, and what ends its colours.
_PADDING = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
_STYLE = {"ok": "green", "warning": "yellow", "refusal": "red"}
# A name, what is told of it, and a style where one is to be seen.
Row = tuple[Told, Told] | tuple[Told, Told, str]
_MARK = {"ok": "✓", "warning": "!", "refusal": "✗"}


def _is_plain() -> bool:
    """Is standard output no terminal, and nobody says that it may be treated like one?"""
    return not (output.is_terminal("stdout") or os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE"))


def _console(name: output.Name = "stdout", margin: int = 0) -> "Console":
    """Lay out for a terminal at its width, and where there is none, such as in a pipe, every line unbroken."""
    from rich.console import Console

    there = Console(stderr=name == "stderr")
    terminal = there.is_terminal
    # Text comes from hosts and logs: nothing in it is markup. What is laid out is written by `output`.
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        highlight=False,
        markup=False,
        soft_wrap=not terminal,
        width=max(there.width - margin, NARROW) if terminal else UNBROKEN,
    )


@contextmanager
def below(board: "Board") -> Iterator[None]:
    """Have what is written pass above a board, until that is closed."""
    global _below
    board.open()
    _below = board
    try:
        yield
    finally:
        board.close()
        _below = None


@contextmanager
def _cleared() -> Iterator[None]:
    """Keep the terminal free of what is drawn below, for who writes or asks."""
    with writing:
        board = _below if _below and _below.is_open else None
        if board:
            output.write(board.erase())
        yield
        if board:
            output.write(board.draw())


@contextmanager
def timed() -> Iterator[None]:
    """Have each line on standard output begin with the time of day: nothing else tells when it came."""
    global _timed
    _timed = True
    try:
        yield
    finally:
        _timed = False


def _write(written: str, name: output.Name = "stdout", label: str = "") -> None:
    """Write whole lines, each with the label before it; what standard output does not take is told on the other."""
    if label:
        written = "".join(f"{label}{line}" for line in written.splitlines(keepends=True))
    with _cleared():
        why = output.write(written, name)
    if why and name == "stdout":
        lost = say("! standard output cannot be written, so the rest of it is lost: %s", why)
        _write(f"{shown(lost, 'stderr')}\n", "stderr")


def shown(told: Told, name: output.Name = "stdout") -> str:
    return output.shown(text(told), name)


def _reasoned(told: Told) -> Told:
    """Say so where a program that failed gave no reason."""
    fact = text(told).rstrip()
    return say("%s it gave no reason", fact) if fact.endswith((":", "：")) else told


def _texts(value: Any) -> Any:
    """Give what a program reads of a value: the text of every message in it, in English whoever looks."""
    match value:
        case Message():
            return english(value)
        case Mapping():
            return {key: _texts(below) for key, below in value.items()}
        case list() | tuple():
            return [_texts(below) for below in value]
    return value


def _fitted(console: "Console", line: str, style: str = "") -> "Text":
    """Break a line that is too long for the terminal; what follows is indented, so that it is not taken for another."""
    from rich.text import Text

    whole = Text(line, style=style)
    indent = len(line) - len(line.lstrip(" "))
    width = console.width - indent - HANG
    if console.soft_wrap or whole.cell_len <= console.width or width < HANG:
        return whole
    first, *rest = lines = whole[indent:].wrap(console, width)
    for one in lines:
        one.rstrip()
    told = Text(" " * indent).append_text(first)
    for one in rest:
        told.append("\n" + " " * (indent + HANG)).append_text(one)
    return told


class Report:
    """Prints for people, on standard output; failures go to standard error.

    Where several hosts are told of side by side, the `label` before each line says of which; `of` is the target.
    """

    # May runs be drawn while they go on?
    draws = True

    def __init__(self, label: str = "", of: str = "") -> None:
        self._label = label
        # When that was, by the host's clock, which is told at the moment.
        self._moment = inf
        self._of = of
        self._began: dict[str, float] = {}
        self.times: dict[str, float] = {}
        # Tells whether an event is seen on the terminal already, and needs no line.
        self.live: Callable[[Event], bool] | None = None

    @property
    def _out(self) -> "Console":
        return _console(margin=len(self._before))

    @property
    def _before(self) -> str:
        """What stands before each line on standard output."""
        if not _timed:
            return self._label
        now = time.time()
        # What is told late has happened before: a run that somebody attaches to.
        moment = self._moment if now - self._moment > LATE else now
        return f"{datetime.fromtimestamp(moment):%H:%M:%S}  {self._label}"

    def _print(self, console: "Console", told: "RenderableType", name: output.Name = "stdout") -> None:
        """Lay it out and write it, without the blanks that fill its lines."""
        with console.capture() as laid_out:
            console.print(told)
        before = self._before if name == "stdout" else self._label
        _write(_PADDING.sub(r"\1", laid_out.get()), name, before)

    def line(self, told: Told, style: str = "") -> None:
        if _is_plain():
            _write(f"{shown(told)}\n", label=self._before)
            return
        out = self._out
        self._print(out, _fitted(out, shown(told), style))

    def log(self, source: str, moment: float, told: Told, colour: str) -> bool:
        """Print a line of a log, unbroken, its source before it; tell whether somebody reads it still."""
        line = "\t".join(map(output.shown, text(told).split("\t")))
        with writing:
            return output.line(f"{self._label}{self._coloured(source, colour)}  {line}")

    def _coloured(self, name: str, colour: str) -> str:
        if _is_plain():
            return output.shown(name)
        from rich.text import Text

        out = self._out
        with out.capture() as laid_out:
            out.print(Text(output.shown(name), colour), end="", soft_wrap=True)
        return laid_out.get()

    def in_words(self, told: Told) -> str:
        """Give the text of a message, for a file that people read."""
        return text(told)

    def in_languages(self, told: Told) -> dict[str, str]:
        """Give the text of a message in each language, the operator's first, for a file that others read too."""
        return {name: text_of(told, catalogue) for name, catalogue in language.every().items()}

    def error_line(self, told: Told) -> None:
        """Print a line on standard error."""
        _write(f"{shown(told, 'stderr')}\n", "stderr", self._label)

    def rows(self, rows: Iterable[Row]) -> None:
        """Print names and what is told of each, and a style where one is to be seen, below one another."""
        laid_out = tuple(rows)
        names = [text(name) for name, *_ in laid_out]
        width = max(map(output.cells, names))
        for name, (_, told, *style) in zip(names, laid_out, strict=True):
            self.line(say("%s  %s", name + " " * (width - output.cells(name)), told), *style)

    def ask(self, question: Message) -> str:
        """Ask on the terminal."""
        with _cleared():
            output.write(shown(question))
            return output.answer()

    def secret(self, question: Told) -> str:
        """Ask on the terminal for what is not shown while it is typed."""
        with _cleared():
            return getpass.getpass(text(question))

    def document(self, value: Any) -> None:
        """Print JSON for machines."""
        output.document(_texts(value))

    def data(self, printed: str) -> None:
        """Write what another program reads; a message in it, such as that something was withheld, becomes text."""
        output.data("\n".join(text(unpack(line)) for line in printed.split("\n")))

    def findings(self, findings: Sequence[Finding]) -> None:
        """Print every finding, what to do about it below it."""
        if not findings:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, show_header=False, pad_edge=False, expand=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in findings:
            told = Text(shown(_reasoned(finding.evidence)))
            if finding.remedy and finding.level != "ok":
                told.append("\n" + shown(say("→ %s", finding.remedy)), style="dim")
            style = _STYLE[finding.level]
            table.add_row(Text(output.shown(_MARK[finding.level]), style), Text(finding.check, style), told)
        self._print(self._out, table)
        refused = sum(finding.level == "refusal" for finding in findings)
        warned = sum(finding.level == "warning" for finding in findings)
        counts = (counted(refused, "%s refusal", "%s refusals"), counted(warned, "%s warning", "%s warnings"))
        self.line(say("%s: %s", counted(len(findings), "%s finding", "%s findings"), counts), "bold")

    def diagnoses(self, found: Sequence["Diagnosis"]) -> None:
        """Print what is wrong: each cause, what shows it, and what to do about it."""
        for number, one in enumerate(found, 1):
            self.line(say("%s. %s", number, one.cause), "bold red" if number == 1 else "bold")
            for told in one.evidence:
                self.line(say("     %s", told), "dim")
            for told in one.remedies:
                self.line(say("   → %s", told))

    def table(self, headers: Sequence[Told], rows: Sequence[Sequence[Told]], marked: Sequence[Collection[int]]) -> None:
        """Print a line for each row; of each, the columns that are `marked` are to be seen first."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
        for header in headers:
            table.add_column(shown(header), overflow="fold")
        for row, seen in zip(rows, marked, strict=True):
            table.add_row(*(Text(shown(cell), "yellow" if at in seen else "") for at, cell in enumerate(row)))
        self._print(self._out, table)

    def changes(self, sections: Sequence[Section]) -> None:
        """Print what a release changes: on a terminal of each subject what fits on a screen, in a pipe all."""
        for section in sections:
            self.line(section.title, "bold")
            shown = section.lines if _is_plain() else section.lines[:FIRST_LINES]
            for told in shown:
                line = say("     %s", told)
                self.line(line, "yellow" if text(told).startswith("!") else "dim")
            if rest := len(section.lines) - len(shown):
                self.line(say("     and %s more", rest), "dim")

    def plan(self, plan: Plan, of: Value = "", *, commands: bool = False) -> None:
        """Print each step, why it is needed and what it will do; `of` which hosts, where there are several.

        With `commands` the scripts that the host runs follow.
        """
        what = say("%s of %s", plan.verb, of) if of else Printed(plan.verb)
        to = say("Plan: %s to %s", what, plan.revision[:7])
        self.line(to if plan.revision else say("Plan: %s", what), "bold")
        for number, step in enumerate(plan.steps, 1):
            self.line(say("%s. %s (%s)", number, step.name, step.reason))
            for line in step.summary:
                self.line(say("     %s", line), "dim")
        for step in plan.steps if commands else ():
            self._script(say("The script of %s:", step.name), step.script)
            if step.undo:
                self._script(say("The script that undoes %s:", step.name), step.undo)

    def _script(self, title: Message, script: str) -> None:
        """Print Bash as the host runs it."""
        self.line(title, "bold")
        self.data(script if script.endswith("\n") else f"{script}\n")

    def nothing_to_do(self, verb: Told, state: State) -> None:
        self.line(say("%s: nothing to do · %s", verb, self.describe(state)), "green")

    def event(self, event: "Event") -> None:
        """Show what the journal tells, as it comes."""
        self._time(event)
        if self.live and self.live(event):
            return
        self._moment = event.at
        self._told(event)
        self._moment = inf

    def _told(self, event: "Event") -> None:
        match event.kind, event.fields:
            case "run", (run, *_):
                self.line(say("run %s", run), "dim")
            case "took-over", fields:
                self.line(say("took over the lock of run %s: %s", fields[0], unpack(fields[-1])), "yellow")
            case "resumed", (run, outcome, *_):
                self.line(say("run %s had died and was finished first: %s", run, outcome or say("unknown")), "yellow")
            case "damaged", (file, how, *_):
                self.line(say("! %s: %s", file, unpack(how)), "yellow")
            case "unwritten", (what, *_):
                self.line(say("! not written: %s", unpack(what)), "yellow")
            case "holding", ("start" | "apply", *_):
                self.line(say("waiting until all hosts are as far"), "dim")
            case "confirming", (seconds, *_):
                self.line(say("waiting for the confirmation, up to %s s", seconds), "dim")
            case "confirmed", (who, *_):
                self.line(say("✓ confirmed by %s", unpack(who)), "green")
            case "undo", (step, *_):
                undone: Value = say("not confirmed") if step == "confirm" else step
                self.line(say("✗ %s: undoing what was done", undone), "red")
            case "undo-begin", (step, *_):
                self.line(say("◂ undo %s", step), "bold")
            case "undo-end", (step, status, *_):
                mark, style = ("✓", "green") if status == "0" else ("✗", "red")
                self.line(
                    say("%s undo %s %s s", mark, step, f"{event.at - self._began.get(step, event.at):.1f}"), style
                )
            case "begin", (step, *_):
                self.line(say("▸ %s", step), "bold")
            case "line" | "message", (_, told):
                self.line(say("    %s", unpack(told)), "dim")
            case "end", (step, status, *_):
                good = status == "0"
                mark, style = ("✓", "green") if good else ("✗", "red")
                self.line(say("%s %s %s s", mark, step, f"{self.times[step]:.1f}"), style)

    def _time(self, event: "Event") -> None:
        match event.kind, event.fields:
            case "begin" | "undo-begin", (step, *_):
                self._began[step] = event.at
            case "end", (step, *_):
                self.times[step] = event.at - self._began.get(step, event.at)

    def done(self, target: str, revision: str, brought: Sequence[Message]) -> None:
        """Say that a release runs, and below it what was brought."""
        self.line(self.done_told(target, revision), "bold green")
        for line in brought:
            self.line(say("  %s", line))

    def done_told(self, target: str, revision: str) -> Message:
        """Say that a release runs, and how long each of its steps took."""
        return say("%s runs %s and is healthy (%s)", target, revision[:7], self._times)

    def baked(self, target: str, revision: str) -> None:
        told = say("%s: a recreated container has %s too (%s)", target, revision[:7], self._times)
        self.line(told, "bold green")

    def restored(self, target: str, database: str, dump: backups.Backup) -> None:
        told = say(
            "%s: %s is that of backup %s, at %s, and healthy (%s)", target, database, dump.id, _at(dump), self._times
        )
        self.line(told, "bold green")

    @property
    def _times(self) -> tuple[Message, ...]:
        return tuple(say("%s %s s", step, f"{seconds:.1f}") for step, seconds in self.times.items())

    def backups(self, found: backups.Backups) -> None:
        """List the dumps, the newest first."""
        for damaged in found.damaged:
            self.line(say("! %s/%s.about is damaged: this dump is passed over", found.folder, damaged), "yellow")
        if not found.all:
            self.line(say("there is no backup in %s", found.folder))
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in (say("backup"), say("age"), say("size"), say("database at"), say("code")):
            table.add_column(shown(name), overflow="fold")
        for dump in found.all:
            age, size = backups.age(found.now - dump.made), backups.size(dump.bytes)
            code = Printed(dump.code[:7]) or say("unknown")
            table.add_row(*map(shown, (Printed(dump.id), age, size, say("%s", _at(dump)), code)))
        self._print(self._out, table)

    def health(self, checks: Sequence["Check"]) -> None:
        for check in checks:
            if check.problem:
                self.line(say("✗ %s: %s %s", check.name, check.url, check.problem), "red")
            elif check.latency_ms is None:
                self.line(say("✓ %s: %s healthy", check.name, check.url), "green")
            else:
                self.line(say("✓ %s: %s healthy in %s ms", check.name, check.url, f"{check.latency_ms:.0f}"), "green")

    def stale(self, builds: Sequence[str]) -> None:
        """Name what users get that was built from other sources than those of what runs."""
        for name in builds:
            self.line(say("! %s was built from other sources than those of the release that runs", name), "yellow")

    def health_json(self, target: str, checks: Sequence["Check"], state: State) -> None:
        """Print one JSON object."""
        self.document(self.health_facts(target, checks, state))

    def health_facts(self, target: str, checks: Sequence["Check"], state: State) -> dict[str, object]:
        """Give what health tells, as JSON has it; `schema` changes when a key changes its meaning."""
        return {
            "schema": HEALTH_SCHEMA,
            "target": target,
            "healthy": all(check.healthy for check in checks),
            "revision": releases.running(state) or None,
            "drift": preflight.drift(state) or None,
            "stale_builds": list(builds.stale(state)),
            "checks": [
                {
                    "name": check.name,
                    "url": check.url,
                    "healthy": check.healthy,
                    "status": check.status,
                    "latency_ms": check.latency_ms and round(check.latency_ms, 1),
                    "problem": check.problem or None,
                }
                for check in checks
            ],
        }

    def describe(self, state: State) -> Message:
        """Say in one line what state production is in."""
        repository, database, running = state.repository, state.database, releases.running(state)
        at: Value = database.revisions or (say("unknown") if database.problem else say("no revision"))
        statuses = tuple(
            say("%s %s", name, probes[-1].status or say("no answer")) for name, probes in state.probes.items() if probes
        )
        runs: Value = running[:7] or preflight.drift(state) or NOTHING
        if running and state.served and not state.fresh:
            runs = say("%s (the app server runs what was there before)", runs)
        code = say("clone at %s, container at %s", repository.head[:7] or say("unknown"), runs)
        health = statuses or say("not asked")
        if database.none:
            return say("%s, health: %s", code, health)
        return say("%s, database at %s, health: %s", code, at, health)

    def failure(self, failure: Failure) -> None:
        """Print one block: the fact, what shows it, what to do next."""
        console = _console("stderr", len(self._label))
        told = [(say("✗ %s", _reasoned(failure.fact)), "bold red")]
        told += [(say("  %s", line), "") for line in failure.evidence]
        if failure.remedy:
            told.append((say("→ %s", failure.remedy), "bold"))
        for line, style in told:
            self._print(console, _fitted(console, shown(line, "stderr"), style), "stderr")


def _at(dump: backups.Backup) -> Value:
    return dump.revisions or say("no revision")


# What is made where something is to be told.
_kind: type[Report] = Report


def new(label: str = "", of: str = "") -> Report:
    """Make a report of the kind that is wanted."""
    return _kind(label, of)


def want(kind: type[Report]) -> None:
    """Have reports of this kind made from now on."""
    global _kind
    _kind = kind
