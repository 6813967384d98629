"""What the operator sees in a terminal, at 80 and at 120 columns."""

import os
import sys

import pexpect
import pyte
import pytest

from deploy.sandbox import stack
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests import leaks
from tests.sandbox.conftest import ROOT, Inv

pytestmark = pytest.mark.stack
LINES = 100


class Terminal:
    """A verb in a terminal of its own."""

    def __init__(self, columns: int, sandbox: Sandbox, *words: str) -> None:
        command = [*words, "--target", sandbox.name]
        self._screen = pyte.Screen(columns, LINES)
        self._stream = pyte.Stream(self._screen)
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": str(LINES)}
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", "invoke", *command],
            cwd=str(ROOT),
            env=environment,
            dimensions=(LINES, columns),
            encoding="utf-8",
            timeout=120,
        )

    def answer(self, prompt: str, text: str) -> None:
        self._child.expect_exact(prompt)
        self._stream.feed(f"{self._child.before}{prompt}")
        self._child.sendline(text)

    def ended(self) -> tuple[int, list[str]]:
        """The exit code and the lines on the screen."""
        self._child.expect(pexpect.EOF)
        self._stream.feed(f"{self._child.before}")
        self._child.close()
        lines = [line.rstrip() for line in self._screen.display]
        leaks.printed.extend(lines)
        return self._child.exitstatus or 0, [line for line in lines if line]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_preflight_is_a_table_whose_long_cells_stay_in_their_column(sandbox: Sandbox, columns: int) -> None:
    code, lines = Terminal(columns, sandbox, "preflight").ended()
    assert code == 0
    assert lines[0].startswith("✓  tools ")
    column = lines[0].index("git, curl")
    rows = lines[:-1]
    assert all(line[0] in "✓!" or line[:column].strip() == "" for line in rows)
    assert "findings: 0 refusals" in lines[-1]


@pytest.mark.parametrize("columns", [80, 120])
def test_the_operator_is_asked_and_may_decline(sandbox: Sandbox, inv: Inv, columns: int) -> None:
    stack.release(sandbox.name, "code")
    before = git(sandbox.path, "rev-parse", "HEAD")
    terminal = Terminal(columns, sandbox, "hot-update")
    terminal.answer("[y/N] ", "n")
    code, lines = terminal.ended()
    assert code == 3
    assert lines[-1] == "✗ not agreed to, nothing was done"
    assert any(line.startswith("1. proof (") for line in lines)
    assert git(sandbox.path, "rev-parse", "HEAD") == before


@pytest.mark.parametrize("columns", [80, 120])
def test_a_failure_is_one_block_at_the_end(sandbox: Sandbox, columns: int) -> None:
    stack.break_(sandbox.name, "dirty")
    code, lines = Terminal(columns, sandbox, "hot-update").ended()
    assert code == 3
    assert any(line.startswith("✗ refused, nothing was changed: work tree") for line in lines[-4:])
    assert any(line.startswith("→ commit and push it, or give --discard") for line in lines[-3:])


def test_escape_sequences_of_a_release_are_read_and_do_not_act(sandbox: Sandbox) -> None:
    stack.release(sandbox.name, "escape-sequences")
    code, lines = Terminal(120, sandbox, "hot-update", "--yes").ended()
    assert code == 0
    assert any(r"\x1b[2J\x1b]0;owned\x07\r\u202eescape-sequences" in line for line in lines)
    # Nothing has cleared what stood above it.
    assert any(line.startswith("Plan: hot-update") for line in lines)


def test_a_restore_asks_for_the_database_s_name(sandbox: Sandbox, inv: Inv) -> None:
    assert inv("backup").code == 0
    terminal = Terminal(120, sandbox, "restore")
    terminal.answer("Type the database's name, whalefall_prod, to restore it: ", "yes")
    code, lines = terminal.ended()
    assert (code, lines[-1]) == (3, "✗ not agreed to, nothing was done")
    assert lines[0] == "Plan: restore"
