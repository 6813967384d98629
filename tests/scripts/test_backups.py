"""The dumps on the host, by their descriptions: which are ours, which nobody can tell, and which may be removed."""

import subprocess
from pathlib import Path

import pytest

from deploy import shell
from tests.plain import plain

# The functions of the step alone: what follows them needs a database.
FUNCTIONS = shell.source("steps/backup.sh").partition("\nfolder=")[0]
WHOLE = "run\tx\ndatabase\twhalefall\nrevision\ta1\nbytes\t4\nsize\t4\ntables\t1\nsha256\tx\ntime\t5\n"
OURS, OTHERS, RUN = "20260101T000000-0001", "20260101T000000-0002", "20260103T000000-0001"
DAMAGED = "20990101T000000-beef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, about in ((OURS, WHOLE), (OTHERS, WHOLE.replace("whalefall", "another")), (RUN, WHOLE)):
        (tmp_path / f"{name}.dump").write_text("dump")
        (tmp_path / f"{name}.about").write_text(about)
    (tmp_path / f"{DAMAGED}.dump").write_text("dump")
    return tmp_path


def bash(folder: Path, words: str) -> list[str]:
    told: dict[str, shell.Variable] = {
        "path": str(folder),
        "database": "whalefall",
        "run": RUN,
        "keep": 1,
        "folder": str(folder),
    }
    script = (
        "set -euo pipefail\n"
        + shell.script("containers.sh", "scripts/dumps/postgres.sh", "backups.sh", **told)
        + FUNCTIONS
        + "\n"
        + words
    )
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    return plain(ended.stdout).splitlines()


@pytest.mark.parametrize(
    "about",
    [None, "", "run\tx\n", "run\tx\ndatabase", "run\tx\ndatabase\twhale", "\0\0\0"],
    ids=["missing", "empty", "cut after a line", "cut in a line", "cut in the name", "zeros"],
)
def test_a_dump_whose_description_is_damaged_is_named_and_never_removed(folder: Path, about: str | None) -> None:
    if about is not None:
        (folder / f"{DAMAGED}.about").write_text(about)
    assert bash(folder, "unknown_backups") == [DAMAGED]
    assert bash(folder, "backups") == [RUN, OURS]
    assert bash(folder, "prune") == [f"removed {OURS}: 1 are kept"]
    assert sorted(file.stem for file in folder.glob("*.dump")) == [OTHERS, RUN, DAMAGED]


def test_whole_descriptions_of_another_database_are_neither_ours_nor_damaged(folder: Path) -> None:
    (folder / f"{DAMAGED}.dump").unlink()
    assert bash(folder, "unknown_backups") == []
