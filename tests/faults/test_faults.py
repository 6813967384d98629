"""One cell of every column of the fault matrix, spread over its rows; inv test.faults runs them all.

A restart of the engine takes an engine of its own, and minutes: only inv test.faults has it.
"""

import os
from collections.abc import Iterator

import pytest

from deploy.sandbox.home import Sandbox
from tests.faults import cells, table
from tests.faults.cells import Cell
from tests.faults.faults import ENGINE_RESTARTED, FAULTS
from tests.faults.points import POINTS

pytestmark = pytest.mark.stack

# The rows turned by half: the first faults meet the steps that change most.
SELECTION = {
    fault: Cell(fault, POINTS[(number + len(POINTS) // 2) % len(POINTS)]) for number, fault in enumerate(FAULTS)
}


@pytest.fixture(scope="module")
def production() -> Iterator[Sandbox]:
    """A production of this module's own: its faults spare nothing."""
    with table.sandbox(f"faults-{os.getpid()}") as made:
        yield made


@pytest.mark.parametrize("cell", [SELECTION[fault] for fault in FAULTS if fault != ENGINE_RESTARTED], ids=str)
def test_production_is_at_the_old_or_the_new_release_after(production: Sandbox, cell: Cell) -> None:
    outcome = cells.carry_out(production, cell)
    assert outcome.partition(",")[0] in ("old", "new")
