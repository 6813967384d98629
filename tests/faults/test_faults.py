"""A cell of the columns of the fault matrix that no other test has, spread over its rows."""

import os
from collections.abc import Iterator

import pytest

from deploy.sandbox.home import Sandbox
from tests.faults import cells, table
from tests.faults.cells import Cell
from tests.faults.faults import ENGINE_RESTARTED, FAULTS
from tests.faults.points import STEPS, points

pytestmark = pytest.mark.stack

# What tests/sandbox/test_runs.py lets happen too, and what takes an engine of its own.
ELSEWHERE = {"laptop-killed", "connection-cut", "ctrl-c", "ctrl-c-twice", "harness-killed", ENGINE_RESTARTED}
# The shapes in turns, and the rows turned by half: the first faults meet the steps that change most.
SHAPES = ("today", "january")
SELECTION = [
    Cell(shape, fault, points(shape)[(number + len(points(shape)) // 2) % len(points(shape))])
    for number, fault in enumerate(FAULTS)
    for shape in (SHAPES[number % len(SHAPES)],)
    if fault not in ELSEWHERE
] + [
    Cell("celery", "step-fails", "restart"),
    Cell("celery", "host-rebooted", "copy"),
    Cell("replicas", "app-killed", "copy"),
    Cell("replicas", "app-recreated", "restart"),
    Cell("replicas", "postgres-stopped", "migrate"),
    Cell("mounted", "step-fails", "restart"),
    Cell("mounted", "host-rebooted", "mount-sync"),
    Cell("mounted", "postgres-stopped", "migrate"),
]


def test_only_faults_that_there_are_stay_out() -> None:
    assert set(FAULTS) >= ELSEWHERE


@pytest.fixture(scope="module", params=STEPS)
def production(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A production of this module's own: its faults spare nothing."""
    with table.sandbox(f"faults-{request.param}-{os.getpid()}", request.param) as made:
        yield made


@pytest.mark.parametrize(
    ("production", "cell"), [(cell.shape, cell) for cell in SELECTION], ids=map(str, SELECTION), indirect=["production"]
)
def test_production_is_at_the_old_or_the_new_release_after(production: Sandbox, cell: Cell) -> None:
    outcome = cells.carry_out(production, cell)
    assert outcome.partition(",")[0] in ("old", "new")
