"""What people and machines read: findings, plans, progress, health, failures."""

import io
import os
import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from deploy import backups, output, preflight, releases, words
from deploy.errors import Failure
from deploy.plan import Finding, Plan
from deploy.state import State

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from deploy.health import Check
    from deploy.runs import Event

HEALTH_SCHEMA = 1
# The width, in columns, of what is no terminal.
UNBROKEN = 100_000
# By how many columns more than a line what did not fit into it is indented.
HANG = 2
# Blanks at the end of a line, and what ends its colours.
_PADDING = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
_STYLE = {"ok": "green", "warning": "yellow", "refusal": "red"}
_MARK = {"ok": "✓", "warning": "!", "refusal": "✗"}


def _is_plain() -> bool:
    """Is standard output no terminal, and nobody says that it may be treated like one?"""
    return not (output.is_terminal("stdout") or os.environ.get("FORCE_COLOR") or os.environ.get("TTY_COMPATIBLE"))


def _console(name: output.Name = "stdout") -> "Console":
    """Lay out for a terminal at its width, and where there is none, such as in a pipe, every line unbroken."""
    from rich.console import Console

    terminal = Console(stderr=name == "stderr").is_terminal
    # Text comes from hosts and logs: nothing in it is markup. What is laid out is written by `output`.
    return Console(
        file=io.StringIO(),
        force_terminal=terminal,
        highlight=False,
        markup=False,
        soft_wrap=not terminal,
        width=None if terminal else UNBROKEN,
    )


def _print(console: "Console", told: "RenderableType", name: output.Name = "stdout") -> None:
    """Lay it out and write it, without the blanks that fill its lines."""
    with console.capture() as laid_out:
        console.print(told)
    output.write(_PADDING.sub(r"\1", laid_out.get()), name)


def _reasoned(text: str) -> str:
    """Say so where a program that failed gave no reason."""
    fact = text.rstrip()
    return f"{fact} it gave no reason" if fact.endswith(":") else text


def _fitted(console: "Console", text: str, style: str = "") -> "Text":
    """Break a line that is too long for the terminal; what follows is indented, so that it is not taken for another."""
    from rich.text import Text

    whole = Text(text, style=style)
    indent = len(text) - len(text.lstrip(" "))
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
    """Prints for people, on standard output; failures go to standard error."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self.times: dict[str, float] = {}

    @cached_property
    def _out(self) -> "Console":
        return _console()

    def line(self, text: str, style: str = "") -> None:
        if _is_plain():
            output.line(text)
            return
        _print(self._out, _fitted(self._out, output.shown(text), style))

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
            told = Text(output.shown(_reasoned(finding.evidence)))
            if finding.remedy and finding.level != "ok":
                told.append(output.shown("→ ").join(("\n", output.shown(finding.remedy))), style="dim")
            style = _STYLE[finding.level]
            table.add_row(Text(output.shown(_MARK[finding.level]), style), Text(finding.check, style), told)
        _print(self._out, table)
        refused = sum(finding.level == "refusal" for finding in findings)
        warned = sum(finding.level == "warning" for finding in findings)
        counts = (words.plural(refused, "refusal"), words.plural(warned, "warning"))
        self.line(f"{words.plural(len(findings), 'finding')}: {', '.join(counts)}", "bold")

    def plan(self, plan: Plan) -> None:
        """Print each step, why it is needed and what it will do."""
        self.line(f"Plan: {plan.verb} to {plan.revision[:7]}" if plan.revision else f"Plan: {plan.verb}", "bold")
        for number, step in enumerate(plan.steps, 1):
            self.line(f"{number}. {step.name} ({step.reason})")
            for line in step.summary:
                self.line(f"     {line}", "dim")

    def nothing_to_do(self, verb: str, state: State) -> None:
        self.line(f"{verb}: nothing to do · {self.describe(state)}", "green")

    def event(self, event: "Event") -> None:
        """Print what the journal tells, as it comes."""
        match event.kind, event.fields:
            case "run", (run, *_):
                self.line(f"run {run}", "dim")
            case "took-over", fields:
                self.line(f"took over the lock of run {fields[0]}: {fields[-1]}", "yellow")
            case "resumed", (run, outcome, *_):
                self.line(f"run {run} had died and was finished first: {outcome or 'unknown'}", "yellow")
            case "damaged", (file, how, *_):
                self.line(f"! {file}: {how}", "yellow")
            case "unwritten", (what, *_):
                self.line(f"! not written: {what}", "yellow")
            case "confirming", (seconds, *_):
                self.line(f"waiting for the confirmation, up to {seconds} s", "dim")
            case "confirmed", (who, *_):
                self.line(f"✓ confirmed by {who}", "green")
            case "undo", (step, *_):
                what = "not confirmed" if step == "confirm" else step
                self.line(f"✗ {what}: undoing what was done", "red")
            case "undo-begin", (step, *_):
                self._began[step] = event.at
                self.line(f"◂ undo {step}", "bold")
            case "undo-end", (step, status, *_):
                mark, style = ("✓", "green") if status == "0" else ("✗", "red")
                self.line(f"{mark} undo {step} {event.at - self._began.get(step, event.at):.1f} s", style)
            case "begin", (step, *_):
                self._began[step] = event.at
                self.line(f"▸ {step}", "bold")
            case "line", (_, text):
                self.line(f"    {text}", "dim")
            case "end", (step, status, *_):
                self.times[step] = event.at - self._began.get(step, event.at)
                good = status == "0"
                mark, style = ("✓", "green") if good else ("✗", "red")
                self.line(f"{mark} {step} {self.times[step]:.1f} s", style)

    def done(self, target: str, revision: str) -> None:
        times = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in self.times.items())
        self.line(f"{target} runs {revision[:7]} and is healthy ({times})", "bold green")

    def restored(self, target: str, database: str, dump: backups.Backup) -> None:
        times = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in self.times.items())
        at = ", ".join(dump.revisions) or "no revision"
        self.line(f"{target}: {database} is that of backup {dump.id}, at {at}, and healthy ({times})", "bold green")

    def backups(self, found: backups.Backups) -> None:
        """List the dumps, the newest first."""
        for damaged in found.damaged:
            self.line(f"! {found.folder}/{damaged}.about is damaged: this dump is passed over", "yellow")
        if not found.all:
            self.line(f"there is no backup in {found.folder}")
            return
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("backup", "age", "size", "database at", "code"):
            table.add_column(name, overflow="fold")
        for dump in found.all:
            at, code = ", ".join(dump.revisions) or "no revision", dump.code[:7] or "unknown"
            cells = (dump.id, backups.age(found.now - dump.made), backups.size(dump.bytes), at, code)
            table.add_row(*map(output.shown, cells))
        _print(self._out, table)

    def health(self, checks: Sequence["Check"]) -> None:
        for check in checks:
            latency = "" if check.latency_ms is None else f" in {check.latency_ms:.0f} ms"
            if check.healthy:
                self.line(f"✓ {check.name}: {check.url} healthy{latency}", "green")
            else:
                self.line(f"✗ {check.name}: {check.url} {check.problem}", "red")

    def health_json(self, target: str, checks: Sequence["Check"], state: State) -> None:
        """Print one JSON object; `schema` changes when a key changes its meaning."""
        answer = {
            "schema": HEALTH_SCHEMA,
            "target": target,
            "healthy": all(check.healthy for check in checks),
            "revision": releases.running(state) or None,
            "drift": preflight.drift(state) or None,
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
        output.document(answer)

    def describe(self, state: State) -> str:
        """Say in one line what state production is in."""
        repository, database = state.repository, state.database
        at = ", ".join(database.revisions) or ("no revision" if not database.problem else "unknown")
        statuses = [f"{name} {probes[-1].status or 'no answer'}" for name, probes in state.probes.items() if probes]
        running = releases.running(state)[:7] or preflight.drift(state)
        if releases.running(state) and state.app and state.app.processes and not state.fresh:
            running += " (the app server runs what was there before)"
        where = repository.head[:7] or "unknown"
        return (
            f"clone at {where}, container at {running}, database at {at}, health: {', '.join(statuses) or 'not asked'}"
        )

    def failure(self, failure: Failure) -> None:
        """Print one block: the fact, what shows it, what to do next."""
        console = _console("stderr")
        told = [(f"✗ {_reasoned(failure.fact)}", "bold red"), *((f"  {line}", "") for line in failure.evidence)]
        if failure.remedy:
            told.append((f"→ {failure.remedy}", "bold"))
        for text, style in told:
            _print(console, _fitted(console, output.shown(text, "stderr"), style), "stderr")
