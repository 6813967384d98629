"""What is shown acts on no terminal, and nothing about it ends a verb."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from deploy import output

ROOT = Path(__file__).resolve().parent.parent
REPORT = """
from deploy.errors import Failure
from deploy.message import Printed, say
from deploy.plan import Finding
from deploy.report import Report
report = Report()
report.line(say("✓ %s → ready", "数据库"))
report.findings([Finding("ok", "short", say("fine")), Finding("warning", "a long one", Printed("看"), say("do → it"))])
report.failure(Failure(say("✗ it failed"), evidence=(Printed("因为 …"),), remedy=say("run it again")))
report.line(say("the end"))
"""


def run(code: str, out: IO[str] | int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    # The command line has to be readable in any locale.
    command = [sys.executable, "-c", code.encode("ascii", "backslashreplace").decode()]
    return subprocess.run(
        command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, env=os.environ | environment, check=False
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fix: \x1b[2J\x1b]0;owned\x07 it", r"fix: \x1b[2J\x1b]0;owned\x07 it"),
        ("over\rwritten", r"over\rwritten"),
        ("two\nlines", r"two\nlines"),
        ("a\ttab", r"a\ttab"),
        ("8-bit \x9b31m and \x7f", r"8-bit \x9b31m and \x7f"),
        ("if \u202eresu\u202c", r"if \u202eresu\u202c"),
        ("\u2066isolated\u2069", r"\u2066isolated\u2069"),
        ("zero\u200bwidth\ufeff\u3164", r"zero\u200bwidth\ufeff\u3164"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("hidden \U000e0041 tag", r"hidden \U000e0041 tag"),
        ("not UTF-8: \udcff", r"not UTF-8: \udcff"),
        ("数据库，已就绪\u3000✓ é 👍", "数据库，已就绪\u3000✓ é 👍"),
    ],
)
def test_what_acts_on_a_terminal_or_hides_is_written_out(text: str, shown: str) -> None:
    assert output.visible(text) == shown


def test_no_character_that_is_shown_acts_on_a_terminal() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = [character for character in output.visible(every) if not character.isprintable()]
    assert {character for character in left if not character.isspace() or ord(character) < 0xA0} == set()


def test_json_says_the_same_and_acts_on_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"subject": "\x1b[2J \x9b \u202e \u200b \U000e0041 \n 数据库"}
    output.document(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert "数据库" in printed
    assert printed.replace("\n", "").isprintable()


def test_sql_goes_into_a_pipe_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.data("SELECT\t'\x1b';\n")
    assert capsys.readouterr().out == "SELECT\t'\x1b';\n"


@pytest.mark.parametrize("terminal", ["", "1"])
@pytest.mark.parametrize(
    ("encoding", "first", "cause"),
    [
        ("ascii", r"+ \u6570\u636e\u5e93 -> ready", r"  \u56e0\u4e3a ..."),
        ("latin-1", r"+ \u6570\u636e\u5e93 -> ready", r"  \u56e0\u4e3a ..."),
        ("gbk", "+ 数据库 → ready", "  因为 …"),
        ("utf-8", "✓ 数据库 → ready", "  因为 …"),
    ],
)
def test_an_output_that_cannot_show_a_sign_gets_a_plain_one(
    terminal: str, encoding: str, first: str, cause: str
) -> None:
    ended = run(REPORT, PYTHONIOENCODING=encoding, TTY_COMPATIBLE=terminal, NO_COLOR="1", TERM="dumb")
    out, err = ended.stdout.decode(encoding).splitlines(), ended.stderr.decode(encoding).splitlines()
    assert ended.returncode == 0
    assert (out[0], out[-1], err[1]) == (first, "the end", cause)


def test_a_locale_without_letters_ends_nothing() -> None:
    ended = run(REPORT, LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0", PYTHONIOENCODING="")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1] == b"the end"


def test_a_table_in_a_file_has_no_blanks_at_the_ends_of_its_lines() -> None:
    lines = run(REPORT).stdout.decode().splitlines()
    assert lines[1:4] == ["✓  short       fine", "!  a long one  看", "               → do → it"]


@pytest.mark.parametrize("terminal", ["", "1"])
def test_a_full_disk_below_the_output_ends_nothing_and_is_told_once(terminal: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = run(REPORT + "import sys; print('reached', file=sys.stderr)", full, TTY_COMPATIBLE=terminal)
    told = ended.stderr.decode()
    assert ended.returncode == 0
    assert told.count("standard output cannot be written") == 1
    assert "No space left on device" in told
    assert told.endswith("reached\n")


def test_outputs_that_are_closed_end_nothing() -> None:
    code = f"import sys\nsys.stdout.close()\nsys.stderr = None\n{REPORT}\nraise SystemExit(7)"
    assert run(code).returncode == 7
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", f"{REPORT}\nraise SystemExit(7)"],
        cwd=ROOT,
        check=False,
    )
    assert closed.returncode == 7


def test_json_that_could_not_be_written_whole_is_a_failure() -> None:
    code = """
from deploy import output
from deploy.errors import Failure
try:
    output.document(["x" * 100000])
except Failure as failure:
    raise SystemExit(9)
"""
    with open("/dev/full", "w") as full:  # noqa: PTH123
        assert run(code, full).returncode == 9


def test_nothing_is_printed_in_any_other_place() -> None:
    found = [ROOT / "tasks.py", *(ROOT / "deploy").rglob("*.py")]
    # What runs in the container speaks to our scripts, not to people.
    files = [file for file in found if "inside" not in file.parts]
    printing = [file.name for file in files if "noqa: T201" in file.read_text()]
    assert printing == []
