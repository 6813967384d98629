"""What is passed on of what flask says."""

import subprocess

from deploy import shell


def repeated(*said: str) -> list[str]:
    script = shell.script("flask.sh") + "repeat_error\n"
    told = "".join(f"{line}\n" for line in said)
    ended = subprocess.run(["bash", "-c", script], input=told, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def test_the_error_of_a_traceback_is_told_last() -> None:
    said = ("Traceback (most recent call last):", "  File", "KeyError: 'x'", "[SQL: select 1]")
    assert repeated(*said) == [*said, "KeyError: 'x'"]


def test_advice_to_developers_is_not_passed_on() -> None:
    tip = " * Tip: There are .env files present. Install python-dotenv to use them."
    assert repeated(tip, "INFO  [alembic] Running upgrade") == ["INFO  [alembic] Running upgrade"]
