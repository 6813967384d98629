"""The whole matrix: every fault at every point, its outcomes kept in a file and told as a table."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.errors import Failure
from deploy.message import say
from deploy.sandbox import shape as shapes
from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.home import Sandbox
from tests.faults import cells, engine
from tests.faults.cells import Cell
from tests.faults.faults import ENGINE_RESTARTED, FAULTS
from tests.faults.laptop import ROOT
from tests.faults.points import CONFIRM, STEPS, points
from tests.leaks import Watch
from tests.reference import marked

FAILED = "FAILED: "
# What a cell of the table says in short.
MARKS = {
    cells.DATABASE_NEW: "d",
    cells.UNLOCKED: "u",
    cells.UPDATED: "h",
    cells.MENDED: "m",
}
LEGEND = (
    "`old`, `new`: the release that production was at in the end, with everything as that commit has it · "
    "`d`: the database keeps the new release's migration · `u`: after one `inv unlock` · "
    "`h`: after one more `inv hot-update` · `m`: after the container, service or disk that was hit was mended by hand"
)
PAGES = (ROOT / "docs/faults.md", ROOT / "docs/faults.zh.md")
IMPORT_SECONDS = 0.3


@dataclass(frozen=True)
class Result:
    """What came of a cell, with which product, when and after how many seconds."""

    commit: str
    shape: str
    fault: str
    point: str
    outcome: str
    told: str
    at: str
    seconds: float

    @property
    def failed(self) -> bool:
        return self.outcome.startswith(FAILED)


def matrix(only: str = "", shape: str = "", point: str = "") -> list[Cell]:
    """Every cell, or those of one column, one shape, one row."""
    if only and only not in FAULTS:
        raise Failure(say("there is no column %s", repr(only)), remedy=say("one of: %s", tuple(FAULTS)))
    if shape and shape not in STEPS:
        raise Failure(say("there is no matrix of the shape %s", repr(shape)), remedy=say("one of: %s", tuple(STEPS)))
    apps = [one for one in STEPS if shape in ("", one)]
    known = tuple(dict.fromkeys(row for one in apps for row in points(one)))
    if point and point not in known:
        raise Failure(say("there is no point %s", repr(point)), remedy=say("one of: %s", known))
    return [
        Cell(one, fault, row)
        for one in apps
        for fault in FAULTS
        if only in ("", fault)
        for row in points(one)
        if point in ("", row)
    ]


def commit() -> str:
    """Name the product that is tested: the commit that changed it last."""
    changed = run("git", "-C", ROOT, "status", "--porcelain", "--", "deploy").strip()
    return run("git", "-C", ROOT, "log", "-1", "--format=%h", "--", "deploy").strip() + ("+changes" if changed else "")


def read(file: Path, at: str) -> dict[Cell, Result]:
    """The last result of each cell, of this commit."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [Result(**json.loads(line)) for line in lines]
    return {Cell(one.shape, one.fault, one.point): one for one in found if one.commit == at}


def fill(file: Path, only: str = "", shape: str = "", point: str = "") -> bool:
    """Run every cell that has not passed yet, print the tables, and tell whether all of them passed."""
    at, wanted = commit(), matrix(only, shape, point)
    passed = {cell for cell, result in read(file, at).items() if not result.failed}
    missing = [cell for cell in wanted if cell not in passed]
    for one in STEPS:
        _run(file, at, one, [cell for cell in missing if cell.shape == one and cell.fault != ENGINE_RESTARTED])
        if on_own_engine := [cell for cell in missing if cell.shape == one and cell.fault == ENGINE_RESTARTED]:
            with engine.second(shapes.named(one)) as own:
                _run(file, at, one, on_own_engine, own)
    results = read(file, at)
    for one in STEPS:
        of_shape = {cell: result for cell, result in results.items() if cell.shape == one}
        if of_shape:
            table = markdown(of_shape, one, at)
            print(table)  # noqa: T201
            _show(table, one, whole=of_shape.keys() >= set(matrix(shape=one)))
    return all(cell in results and not results[cell].failed for cell in wanted)


def _show(table: str, shape: str, *, whole: bool) -> None:
    """Put a whole table into its pages, where these have a place for it, instead of the one that is there."""
    command = f"inv test.faults --shape {shape}"
    for page in PAGES if whole else ():
        text = page.read_text(encoding="utf-8")
        if marked.is_there(text, command):
            page.write_text(marked.replaced(text, command, table), encoding="utf-8")


def markdown(results: dict[Cell, Result], shape: str, at: str) -> str:
    """Tell a shape's results as a table of Markdown, the faults side by side."""
    when = max(result.at for result in results.values())
    failures = [f"- {cell}: {result.outcome}" for cell, result in results.items() if result.failed]
    head = f"Commit {at}, {when[:10]}: {len(results)} of {len(matrix(shape=shape))} cells, {len(failures)} failed."
    return "\n".join((head, "", *_rows(results, shape), "", LEGEND, *(["", *failures] if failures else [])))


def _rows(results: dict[Cell, Result], shape: str) -> Iterator[str]:
    yield f"| | {' | '.join(FAULTS)} |"
    yield f"|{' --- |' * (len(FAULTS) + 1)}"
    for point in points(shape):
        yield f"| {_title(point)} | {' | '.join(_short(results.get(Cell(shape, one, point))) for one in FAULTS)} |"


@contextmanager
def sandbox(name: str, shape: str) -> Iterator[Sandbox]:
    """A production of the matrix's own, gone afterwards."""
    try:
        yield stack.up(name, shape=shape, import_seconds=IMPORT_SECONDS, tell=lambda told: None)
    finally:
        stack.down(name, tell=lambda told: None)


def _run(file: Path, at: str, shape: str, todo: Iterable[Cell], own: "engine.Engine | None" = None) -> None:
    cells_left = list(todo)
    while cells_left:
        with Watch() as watch, sandbox(f"faults-{os.getpid()}", shape) as production:
            while cells_left:
                result = _result(production, cells_left.pop(0), at, own, watch)
                print(f"{result.fault} at {result.point} of {shape}: {result.outcome} ({result.seconds} s)", flush=True)  # noqa: T201
                with file.open("a", encoding="utf-8") as lines:
                    lines.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")
                if result.failed:
                    # What it left is nothing to begin the next cell with.
                    break


def _result(production: Sandbox, cell: Cell, at: str, own: "engine.Engine | None", watch: Watch) -> Result:
    began, told = time.monotonic(), ""
    try:
        outcome = cells.carry_out(production, cell, own)
        leaks = watch.found()
        assert not leaks, "\n".join(leaks)
    except (AssertionError, Failure) as problem:
        told = str(problem)
        outcome = FAILED + told.partition("\n")[0]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Result(at, cell.shape, cell.fault, cell.point, outcome, told, now, round(time.monotonic() - began, 1))


def _title(point: str) -> str:
    if point == CONFIRM:
        return "waiting for the confirmation"
    one, _, other = point.partition("-")
    return f"between {one} and {other}" if other else f"during {one}"


def _short(result: Result | None) -> str:
    if result is None:
        return ""
    if result.failed:
        return "**FAILED**"
    word, *more = result.outcome.split(", ")
    return " ".join((word, *(f"`{MARKS[one]}`" for one in more)))
