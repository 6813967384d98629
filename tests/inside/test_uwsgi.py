"""What uWSGI goes by is read where it was told it; it is asked to replace its workers in the way that it listens to."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.inside.message import ExpectedError
from deploy.inside.processes import Process
from deploy.inside.uwsgi import ask_chain, chain_settings
from deploy.message import unpack
from tests.texts import as_text


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that it works in: this process stands for it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fifo(place: Path) -> Iterator[int]:
    """The FIFO that it is commanded through, open in it."""
    os.mkfifo(place / "command.fifo")
    descriptor = os.open(place / "command.fifo", os.O_RDONLY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def master(*words: str) -> Process:
    return Process(os.getpid(), 1, 0.0, [b"/usr/bin/uwsgi-core", *map(os.fsencode, words)])


def told(preload: bool, workers: int, config: Path | None = None) -> dict[str, object]:
    return {"preload": preload, "workers": workers, "config": config and str(config), "chain": True}


@pytest.mark.parametrize(
    ("words", "preload", "workers"),
    [
        (["--lazy-apps", "-p", "4", "--module", "wsgi:application"], False, 4),
        (["--processes=3", "--lazy"], False, 3),
        (["--workers", "2", "--master"], True, 2),
        (["--lazy-apps=false"], True, 1),
    ],
)
def test_a_command_line_is_read(fifo: int, words: list[str], preload: bool, workers: int) -> None:
    assert chain_settings(master(*words)) == told(preload, workers)


@pytest.mark.parametrize("words", [["--ini", "uwsgi.ini"], ["uwsgi.ini"], ["--ini", "uwsgi.ini:uwsgi"]])
def test_an_ini_file_is_read_and_only_the_section_that_counts(place: Path, fifo: int, words: list[str]) -> None:
    text = "[other]\nworkers = 9\n[uwsgi]\n; workers = 8\nworkers = 2\nlazy-apps = true\n"
    (place / "uwsgi.ini").write_text(text, encoding="ascii")
    assert chain_settings(master(*words)) == told(False, 2, place / "uwsgi.ini")


def test_what_comes_later_counts(place: Path, fifo: int) -> None:
    (place / "uwsgi.ini").write_text("[uwsgi]\nworkers = 2\n", encoding="ascii")
    assert chain_settings(master("uwsgi.ini", "--processes", "5"))["workers"] == 5


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--lazy-apps"], "uWSGI has neither a master-fifo nor a touch-chain-reload"),
        (["--cheaper", "1", "--processes", "4"], "the number of uWSGI's workers changes by itself (cheaper)"),
        (["--processes", "%k"], "what uWSGI takes for processes cannot be told: %k"),
    ],
)
def test_what_cannot_be_replaced_in_a_chain_says_why(words: list[str], why: str) -> None:
    with pytest.raises(ExpectedError) as refused:
        chain_settings(master(*words))
    assert as_text(unpack(str(refused.value))) == why


def test_its_fifo_is_written_to(fifo: int) -> None:
    ask_chain(master())
    assert os.read(fifo, 8) == b"c"


def test_without_a_fifo_its_file_is_touched(place: Path) -> None:
    (place / "reload").touch()
    os.utime(place / "reload", (0, 0))
    ask_chain(master("--touch-chain-reload", "reload"))
    assert (place / "reload").stat().st_mtime > 0
