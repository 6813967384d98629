"""What is done beside something else."""

from threading import Event

import pytest

from deploy.beside import Beside


def test_it_goes_on_until_its_result_is_asked_for() -> None:
    go = Event()

    def wait() -> str:
        go.wait()
        return "done"

    beside = Beside(wait)
    go.set()
    assert beside.result() == "done"


def test_what_it_raises_is_raised_where_the_result_is_asked_for() -> None:
    def fail() -> None:
        raise ValueError("why")

    beside = Beside(fail)
    with pytest.raises(ValueError, match="why"):
        beside.result()
