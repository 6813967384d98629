"""Listing the verbs and explaining one imports nothing of what they work with."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"fabric", "paramiko", "cryptography", "pydantic", "requests", "urllib3", "rich", "deploy", "tests"}
# Say in which language help is shown, and what is wrong with a line; the package itself is empty.
LIGHT = {"deploy", "deploy.language", "deploy.cli"}


def modules_after(code: str) -> set[str]:
    """The packages that are imported when some code has run, its output in a pipe."""
    code += "; import sys; print(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in ended.stderr.split()}


def imported(*words: str) -> set[str]:
    """The packages that are imported for a command line."""
    command = [sys.executable, "-X", "importtime", "-m", "invoke", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    names = (line.rpartition("|")[2].strip() for line in ended.stderr.splitlines() if line.startswith("import time:"))
    return {name.partition(".")[0] for name in names if name not in LIGHT}


@pytest.mark.parametrize("words", [("--list",), ("--help", "hot-update"), ("--help", "sandbox.up"), ("--help", "test")])
def test_the_command_line_alone_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert imported(*words) & HEAVY == set()


def test_the_verbs_import_the_way_to_the_host_and_what_they_print_with_only_when_they_use_it() -> None:
    verbs = modules_after("import deploy.verbs.update, deploy.verbs.status, deploy.verbs.backup, deploy.verbs.migrate")
    assert verbs & {"fabric", "paramiko", "requests", "rich"} == set()


def test_a_pipe_that_nobody_reads_does_not_end_a_verb() -> None:
    code = "from deploy.report import Report; report = Report(); [report.line('x' * 1000) for _ in range(1000)]"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as verb:
        assert verb.stdout
        assert verb.stderr
        verb.stdout.close()
        assert verb.stderr.read() == ""
    assert verb.returncode == 0


def test_a_line_into_a_pipe_needs_no_console() -> None:
    assert "rich" not in modules_after("from deploy.report import Report; Report().line('done', 'green')")
