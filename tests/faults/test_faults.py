"""A cell of the columns of the fault matrix that no other test has, spread over its rows."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from deploy.sandbox.home import Sandbox
from tests.faults import cells, table
from tests.faults.cells import Cell
from tests.faults.faults import ENGINE_RESTARTED, FAULTS
from tests.faults.points import points

pytestmark = pytest.mark.stack

# What tests/sandbox/test_runs.py lets happen too, and what takes an engine of its own.
ELSEWHERE = {
    "second-update",
    "laptop-killed",
    "connection-cut",
    "ctrl-c",
    "ctrl-c-twice",
    "harness-killed",
    ENGINE_RESTARTED,
}
# The shapes in turns, and the rows turned by half: the first faults meet the steps that change most.
SHAPES = ("today", "january")
SPREAD = [
    Cell(shape, fault, points(shape)[(number + len(points(shape)) // 2) % len(points(shape))])
    for number, fault in enumerate(FAULTS)
    for shape in (SHAPES[number % len(SHAPES)],)
    if fault not in ELSEWHERE
]
# Of the others what only they have: a second service, a second container, code that moves with the clone.
SELECTION = [
    *sorted(SPREAD, key=lambda cell: SHAPES.index(cell.shape)),
    *(
        pytest.param(cell, marks=pytest.mark.deep)
        for cell in (
            Cell("celery", "step-fails", "copy"),
            Cell("replicas", "app-killed", "copy"),
            Cell("mounted", "step-fails", "restart"),
        )
    ),
]


def test_only_faults_that_there_are_stay_out() -> None:
    assert set(FAULTS) >= ELSEWHERE


@pytest.fixture(scope="module")
def production() -> Iterator[Callable[[str], Sandbox]]:
    """Make a production of a shape, of this module's own: its faults spare nothing. One after the other is there."""
    with ExitStack() as made:
        there = dict[str, Sandbox]()

        def of(shape: str) -> Sandbox:
            if shape not in there:
                made.close()
                there.clear()
                there[shape] = made.enter_context(table.sandbox(f"faults-{shape}-{os.getpid()}", shape))
            return there[shape]

        yield of


@pytest.mark.parametrize("cell", SELECTION, ids=str)
def test_production_is_at_the_old_or_the_new_release_after(production: Callable[[str], Sandbox], cell: Cell) -> None:
    outcome = cells.carry_out(production(cell.shape), cell)
    assert outcome.partition(",")[0] in ("old", "new")
