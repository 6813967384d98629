"""Which failures are known by what their lines say."""

import pytest

from deploy import causes


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("ModuleNotFoundError: No module named 'celery.app'", "celery.app is not installed in the image"),
        ("alembic.util.exc.CommandError: Can't locate revision identified by 'beef'", "revision beef"),
        ("OSError: [Errno 98] Address already in use", "holds the port"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("SyntaxError: invalid syntax", "mend the file"),
    ],
)
def test_a_known_cause_has_its_own_remedy(line: str, told: str) -> None:
    assert told in causes.remedy(["Traceback (most recent call last):", line])


def test_an_unknown_cause_has_none() -> None:
    assert causes.remedy(["the app does not answer, 120 s after the restart"]) == ""


def test_a_syntax_error_is_placed_where_the_traceback_ends() -> None:
    lines = ['  File "/app/wsgi.py", line 3, in <module>', '  File "/app/app/x.py", line 7', "SyntaxError: invalid"]
    assert causes.place(lines) == "/app/app/x.py, line 7"
    assert causes.place(['  File "/app/wsgi.py", line 3', "KeyError: 'x'"]) == ""
