"""Have something done beside what goes on here."""

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

_Result = TypeVar("_Result")


class Beside(Generic[_Result]):
    """A function that runs in a thread of its own, which ends with the process at the latest."""

    def __init__(self, function: Callable[[], _Result]) -> None:
        self._function = function
        self._results: list[_Result] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def result(self, seconds: float | None = None) -> _Result:
        """Wait for what it returns, or raise what it raised; TimeoutError where that takes longer than the seconds."""
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError
        if self._error:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the result is asked for
            self._error = error
