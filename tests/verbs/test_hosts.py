"""The connections to several hosts: what they ask, and what counts of how each ended."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.errors import Exit
from deploy.message import Told, say
from deploy.verbs.hosts import Asked, worst


def test_a_question_is_asked_once_however_many_hosts_want_to_know() -> None:
    asked: list[Told] = []

    def ask(question: Told) -> str:
        asked.append(question)
        time.sleep(0.05)
        return f"secret {len(asked)}"

    one = Asked(ask)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(one, [say("sudo password: ")] * 4))
    assert (answers, len(asked)) == (["secret 1"] * 4, 1)


def test_each_host_is_asked_for_what_is_its_own() -> None:
    asked: list[Told] = []
    one = Asked(lambda question: asked.append(question) or "x")  # type: ignore[func-returns-value]
    for name in ("a", "b", "a"):
        one(say("%s: %s", name, say("code: ")))
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((Exit.DONE, Exit.DONE), Exit.DONE),
        ((Exit.UNDONE, Exit.UNDONE_ILL, Exit.REFUSED), Exit.UNDONE_ILL),
        ((Exit.LOCKED, Exit.REFUSED), Exit.LOCKED),
        ((Exit.FAILED, Exit.UNDONE), Exit.FAILED),
        ((Exit.UNDONE_ILL, Exit.INTERRUPTED), Exit.INTERRUPTED),
    ],
)
def test_the_worst_exit_code_counts(codes: tuple[Exit, ...], expected: Exit) -> None:
    assert worst(iter(codes)) == expected
