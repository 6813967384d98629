"""The file for a colleague: its owner's alone, never over another, whole or not there."""

from io import StringIO
from pathlib import Path

import pytest

from deploy.errors import Exit, Failure
from deploy.message import Printed, say
from deploy.plan import Finding
from deploy.verbs.support_bundle import Sheet, _tell_values, into
from tests.diagnosis.build import FACTS


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    with into(str(tmp_path / "bundle.txt")) as bundle:
        assert bundle
    assert (tmp_path / "bundle.txt").stat().st_mode & 0o777 == 0o600


def test_one_that_is_there_is_refused_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "bundle.txt"
    file.write_text("kept")
    with pytest.raises(Failure) as refused, into(str(file)):
        raise AssertionError
    assert (refused.value.code, file.read_text()) == (Exit.USAGE, "kept")


def test_where_it_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure) as refused, into(str(tmp_path / "none" / "bundle.txt")):
        raise AssertionError
    assert refused.value.code == Exit.USAGE


def test_of_a_reading_that_fails_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(Failure), into(str(tmp_path / "bundle.txt")):
        raise Failure(say("no"))
    assert list(tmp_path.iterdir()) == []


def test_what_is_taken_down_acts_on_no_terminal() -> None:
    file = StringIO()
    sheet = Sheet(file, "prod")
    sheet.log("app", 1.0, Printed("a\tb\x1b[2J"), "cyan")
    sheet.findings((Finding("refusal", "env", say("it lacks %s", "KEY"), say("set it")),))
    assert file.getvalue() == "app  a\tb\\x1b[2J\n✗  env: it lacks KEY\n   → set it\n"


def test_values_are_lines_and_what_is_empty_is_none() -> None:
    file = StringIO()
    _tell_values(Sheet(file, "prod"), FACTS)
    lines = file.getvalue().splitlines()
    assert "doors: nginx=http://localhost, direct=http://localhost:5001" in lines
    assert "refers.nginx: /assets/main-1a2b3c4d.js" in lines
    assert not [line for line in lines if "journals" in line]
