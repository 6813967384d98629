"""Run a program and turn its failure into words."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.errors import Failure
from deploy.message import Printed, say
from deploy.shell import sh

SHOWN_LINES = 12
# The remedy where something is missing on this machine.
INSTALL = Printed(sh("inv", "sandbox.up", "--install"))


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
    timeout: float | None = None,
) -> str:
    """Run a program to its end and return what it printed; `env` adds to the environment.

    Raises Failure with the program's last lines when it is missing, fails, or takes more than `timeout` seconds.
    """
    words = [str(word) for word in argv]
    name = " ".join(words[:2])
    try:
        ended = subprocess.run(
            words, cwd=cwd, env={**os.environ, **(env or {})}, input=stdin, timeout=timeout, capture_output=True,
            text=True, errors="replace", check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise Failure(say("%s is not installed", words[0]), remedy=INSTALL) from error
    except subprocess.TimeoutExpired as error:
        raise Failure(
            say("%s did not end within %s s", name, f"{timeout:g}"), evidence=(Printed(sh(*words)),)
        ) from error
    if ended.returncode:
        evidence = (Printed(sh(*words)), *tail(f"{ended.stdout}\n{ended.stderr}"))
        raise Failure(say("%s ended with %s", name, ended.returncode), evidence=evidence)
    return ended.stdout


def works(*argv: str | Path, timeout: float = 30) -> bool:
    """Tell whether a program is there and succeeds within `timeout` seconds."""
    try:
        run(*argv, timeout=timeout)
    except Failure:
        return False
    return True


def tail(text: str, lines: int = SHOWN_LINES) -> tuple[Printed, ...]:
    """Return the last lines that say something."""
    return tuple(Printed(line) for line in text.splitlines() if line.strip())[-lines:]
