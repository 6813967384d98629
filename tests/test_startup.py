"""Listing the verbs and explaining one imports nothing of what they work with."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"fabric", "paramiko", "cryptography", "pydantic", "requests", "urllib3", "rich", "deploy", "tests"}


def imported(*words: str) -> set[str]:
    """The packages that are imported for a command line."""
    command = [sys.executable, "-X", "importtime", "-m", "invoke", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = (line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("words", [("--list",), ("--help", "hot-update"), ("--help", "sandbox.up"), ("--help", "test")])
def test_the_command_line_alone_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported(*words) & HEAVY == set()


def test_a_verb_imports_ways_to_the_host_and_what_it_prints_with_only_when_it_uses_them() -> None:
    code = (
        "import sys, deploy.verbs.update, deploy.verbs.status, deploy.verbs.backup, deploy.verbs.migrate; "
        "print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in ended.stdout.split()} & {"fabric", "requests", "rich"} == set()
