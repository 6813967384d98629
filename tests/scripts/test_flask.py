"""What is passed on of what flask says."""

import subprocess

from deploy import shell
from tests.plain import plain


def repeated(*said: str, by: str = "repeat_error") -> list[str]:
    script = shell.script("flask.sh") + f"{by}\n"
    told = "".join(f"{line}\n" for line in said)
    ended = subprocess.run(["bash", "-c", script], input=told, capture_output=True, text=True, check=True)
    return plain(ended.stdout).splitlines()


def test_the_error_of_a_traceback_is_told_last() -> None:
    said = ("Traceback (most recent call last):", "  File", "KeyError: 'x'", "[SQL: select 1]")
    assert repeated(*said) == [*said, "KeyError: 'x'"]


def test_advice_to_developers_is_not_passed_on() -> None:
    tip = " * Tip: There are .env files present. Install python-dotenv to use them."
    assert repeated(tip, "INFO  [alembic] Running upgrade") == ["INFO  [alembic] Running upgrade"]


def test_the_revision_that_a_migration_is_at_comes_first() -> None:
    logs = "INFO  [alembic.runtime.migration] Running upgrade"
    said = (f"{logs}  -> 1a, First.", f"{logs} 1a -> 2b, Add a -> b, c.", f"{logs} 2b, 2c -> 3d", "x")
    told = ["1a begins: First.", "2b begins: Add a -> b, c.", "3d begins", "x"]
    assert repeated(*said, by="tell_revisions") == told
