"""The look for secrets finds those that are really there, and never tells one."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import leaks
from tests.leaks import Watch, secrets_of

SECRET = "made-up-0123456789abcdef"
WAIT_SECONDS = 10.0


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """The folder of a sandbox of ours, with a secret."""
    folder = tmp_path / f"demo-{os.getpid()}"
    folder.mkdir()
    (folder / "env").write_text(f"POSTGRES_PASSWORD={SECRET}\nHTTP_PORT=20000\n", encoding="utf-8")
    return folder


@pytest.fixture
def watch(sandbox: Path) -> Iterator[Watch]:
    with Watch(sandbox.parent) as watching:
        yield watching


@contextmanager
def running(*words: str) -> Iterator[None]:
    """Run Python with these words on its command line."""
    with subprocess.Popen([sys.executable, "-c", "input()", *words], stdin=subprocess.PIPE) as process:
        yield
        process.communicate(b"\n")


def soon(watch: Watch) -> list[str]:
    """What is found within a while."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := watch.found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_a_secret_on_a_command_line_is_told_by_its_key_alone(watch: Watch) -> None:
    with running("--password", f"a {SECRET} b"):
        shown = f"{sys.executable} -c input() --password [POSTGRES_PASSWORD]"
        assert soon(watch) == [f"POSTGRES_PASSWORD is in the command line of {shown}"]


def test_a_secret_in_what_a_host_keeps_is_told_with_its_file(watch: Watch, sandbox: Path) -> None:
    kept = sandbox / "host/app/.git/hot-update/runs/one/journal"
    kept.parent.mkdir(parents=True)
    kept.write_text(f"1.0 line {SECRET}", encoding="utf-8")
    told = f"POSTGRES_PASSWORD is in {kept.relative_to(sandbox.parent)}"
    assert soon(watch) == [told]
    assert watch.found() == [], "an unchanged file is told once"


def test_a_secret_that_a_verb_printed_is_told(watch: Watch) -> None:
    leaks.printed.append(f"password: {SECRET}")
    assert watch.found() == ["POSTGRES_PASSWORD is in what a verb printed"]


@pytest.mark.parametrize(
    ("line", "core"),
    [
        ("SECRET_KEY='0123456789ab $HOME \"x\" #1'", "0123456789ab"),
        ('JWT_SECRET_KEY="abc-def_ghi-jkl"', "abc-def_ghi-jkl"),
        ("WEBHOOK_URL=https://hooks.example.com/0123456789abcdef?a=1&b=2", "0123456789abcdef"),
    ],
)
def test_of_a_secret_that_part_is_looked_for_which_every_spelling_has(line: str, core: str) -> None:
    assert secrets_of(line) == {core.encode(): line.partition("=")[0]}


@pytest.mark.parametrize("line", ["HTTP_PORT=2000000000", "SECRET_KEY=short", "SECRET_KEY=''", "# TOKEN=0123456789"])
def test_what_is_no_secret_is_not_looked_for(line: str) -> None:
    assert secrets_of(line) == {}
