"""What two looks at a schema show: what came, went or changed between them."""

import subprocess
from pathlib import Path

import pytest

from deploy import shell

TABLE = "table\tpublic.users\t\t\n"
COLUMN = "column\tpublic.users.name\tpublic.users\ttext\n"


def differences(tmp_path: Path, before: str, after: str, how: str = "") -> list[tuple[str, ...]]:
    (tmp_path / "before").write_text(before)
    (tmp_path / "after").write_text(after)
    script = shell.script("schema.sh", path="/") + f"schema_differences before after {how}"
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    return list(shell.records(told.stdout))


def test_the_same_schema_shows_nothing(tmp_path: Path) -> None:
    assert differences(tmp_path, TABLE + COLUMN, TABLE + COLUMN) == []


def test_a_table_stands_for_its_parts(tmp_path: Path) -> None:
    assert differences(tmp_path, "", TABLE + COLUMN) == [("came", "table public.users")]
    assert differences(tmp_path, TABLE + COLUMN, "") == [("went", "table public.users")]


def test_a_part_of_a_table_that_stays_is_told_by_itself(tmp_path: Path) -> None:
    assert differences(tmp_path, TABLE, TABLE + COLUMN) == [("came", "column public.users.name")]


@pytest.mark.parametrize(("how", "expected"), [("", [("changed", "column public.users.name")]), ("names", [])])
def test_other_words_for_the_same_name_are_a_change_except_after_a_restore(
    tmp_path: Path, how: str, expected: list[tuple[str, str]]
) -> None:
    changed = COLUMN.replace("\ttext", "\tinteger")
    assert differences(tmp_path, TABLE + COLUMN, TABLE + changed, how) == expected
