"""Which failures are known by what their lines say."""

import pytest

from deploy import causes
from deploy.message import Printed, say
from tests.texts import as_text


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
    assert told in as_text(causes.remedy([Printed("Traceback (most recent call last):"), Printed(line)]))


def test_a_cause_is_found_in_a_message_of_ours_and_in_the_printed_words_in_it() -> None:
    killed = say(
        "the kernel killed a process in %s for want of memory (its limit: %s; oom_kill: %s)", "app", "none", "1"
    )
    held = say("waits for %s: held by session %s (user %s)", say("a lock on %s", "instances"), "7", "ada")
    lock = say("%s: the migration %s", say("no lock within %s s, %s times", "1", "4"), held)
    assert as_text(causes.remedy([say("%s; %s", say("the new worker did not boot"), killed)])).startswith(
        "raise the memory"
    )
    assert "pg_terminate_backend(7)" in as_text(causes.remedy([lock]))
    assert "the disk is full" in as_text(causes.remedy([say("%s: %s", "a", "No space left on device")]))


def test_a_message_of_ours_that_is_damaged_names_no_cause() -> None:
    assert causes.remedy([say("%s: the migration %s", "no lock"), say("%s: the migration %s", "a", "b")]) is None


def test_an_unknown_cause_has_none() -> None:
    assert causes.remedy([say("the app does not answer, %s s after the restart", 120)]) is None


def test_a_syntax_error_is_placed_where_the_traceback_ends() -> None:
    lines = [
        *map(
            Printed,
            ('  File "/app/wsgi.py", line 3, in <module>', '  File "/app/app/x.py", line 7', "SyntaxError: invalid"),
        )
    ]
    assert as_text(causes.place(lines)) == "/app/app/x.py, line 7"
    assert causes.place([Printed('  File "/app/wsgi.py", line 3'), Printed("KeyError: 'x'")]) is None


STARTING = "[2026-11-26 10:00:00 +0000] [10] [INFO] Starting gunicorn 22.0.0"
CRASH = (
    STARTING,
    "[2026-11-26 10:00:00 +0000] [12] [INFO] Booting worker with pid: 12",
    "[2026-11-26 10:00:01 +0000] [12] [ERROR] Exception in worker process",
    "Traceback (most recent call last):",
    '  File "/app/app/x.py", line 1, in <module>',
    "    from app.y import z",
    "ImportError: cannot import name 'z' from 'app.y' (/app/app/y.py)",
    "[2026-11-26 10:00:01 +0000] [12] [INFO] Worker exiting (pid: 12)",
    "[2026-11-26 10:00:01 +0000] [10] [ERROR] Worker (pid:12) exited with code 3",
    "[2026-11-26 10:00:01 +0000] [10] [ERROR] Shutting down: Master",
    "[2026-11-26 10:00:01 +0000] [10] [ERROR] Reason: Worker failed to boot.",
)
HALT = (
    "Traceback (most recent call last):",
    '  File "/app/.venv/lib/python3.11/site-packages/gunicorn/arbiter.py", line 209, in run',
    "gunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>",
)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (CRASH, "ImportError: cannot import name 'z' from 'app.y' (/app/app/y.py)"),
        ((*CRASH, *HALT), "ImportError: cannot import name 'z' from 'app.y' (/app/app/y.py)"),
        # The head of a long traceback is not among the newest lines.
        (CRASH[5:], "ImportError: cannot import name 'z' from 'app.y' (/app/app/y.py)"),
        (tuple(f"whalefall-1  | {line}" for line in CRASH), CRASH[6]),
        (
            (
                "Traceback (most recent call last):",
                "KeyError: 'first'",
                "",
                "The above exception was the direct cause of the following exception:",
                "",
                "Traceback (most recent call last):",
                "sqlalchemy.exc.NoSuchModuleError: Can't load plugin",
                "(Background on this error at: https://sqlalche.me/e/20/f405)",
            ),
            "sqlalchemy.exc.NoSuchModuleError: Can't load plugin",
        ),
        (
            ("Traceback (most recent call last):", "  File", "app.errors.Refused: no licence"),
            "app.errors.Refused: no licence",
        ),
        (("Traceback (most recent call last):", "  File", "StopIteration"), "StopIteration"),
        ((STARTING, "[ERROR] Connection in use: ('0.0.0.0', 5001)"), "[ERROR] Connection in use: ('0.0.0.0', 5001)"),
        (CRASH[7:], CRASH[10]),
        ((STARTING, "2026-11-26 INFO exited: whalefall (exit status 3; not expected)"), ""),
    ],
)
def test_a_start_that_failed_complains_of_the_last_exception_that_was_raised(lines: tuple[str, ...], told: str) -> None:
    assert causes.complaint(lines).line == told


def test_a_log_is_cut_where_a_start_begins() -> None:
    assert causes.starts(("a", STARTING, "b", STARTING), "Starting gunicorn") == [["a"], [STARTING, "b"], [STARTING]]
