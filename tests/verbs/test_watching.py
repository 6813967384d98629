"""When the answers of a release that is watched are too often errors."""

import pytest

from deploy.verbs.watching import ENOUGH, Answers


@pytest.mark.parametrize(
    ("answers", "errors", "expected"),
    [
        (100, 5, False),
        (100, 6, True),
        (ENOUGH, 2, True),
        # Of so few no share says anything.
        (ENOUGH - 1, ENOUGH - 1, False),
        (0, 0, False),
    ],
)
def test_more_errors_than_are_allowed_are_too_many_once_there_are_enough_answers(
    answers: int, errors: int, expected: bool
) -> None:
    seen = Answers()
    seen.all, seen.errors = answers, errors
    assert seen.too_many(5) is expected
