"""What status says of the programs, in a line each."""

import pytest

from deploy.state import Program, Worker
from deploy.verbs.status import working
from tests.texts import as_text


@pytest.mark.parametrize(
    ("server", "each", "told"),
    [
        (True, [(7200, 84), (7205, 90)], "2 workers, 84-90 MiB, 2 hours"),
        (True, [(60, 90)], "1 worker, 90 MiB, 60 seconds"),
        (True, [(7200, 90), (30, 90)], "2 workers, 90 MiB, 30 seconds to 2 hours"),
        (False, [(600, 40)], "1 process, 40 MiB, 10 minutes"),
        (True, [], "0 workers"),
    ],
)
def test_workers_are_told_with_their_memory_and_their_ages(
    server: bool, each: list[tuple[int, int]], told: str
) -> None:
    found = tuple(Worker(number, *one) for number, one in enumerate(each))
    assert as_text(working(Program("1", "web", supervised=True, server=server, fresh=True, each=found))) == told
