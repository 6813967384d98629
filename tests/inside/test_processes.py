"""The processes that serve: found by the server's name, and fresh once they were started after the copy."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.inside.processes import is_served_by, marked, own_bytes, shared_bytes
from deploy.inside.programs import programs
from tests.inside.world import World

WAIT = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., int]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, executable: str) -> int:
        process = subprocess.Popen(argv, executable=executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout
        process.stdout.readline()
        return process.pid

    yield start
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream
            stream.close()


def servers(world: World) -> list[int]:
    return [program.process.pid for program in programs(world.settings) if program.server]


def fresh(world: World) -> list[bool]:
    return [program["fresh"] for program in world.inspect()["programs"]]


def test_a_process_is_known_as_a_runs_by_a_word_of_its_command(server: Callable[..., int]) -> None:
    pid = server("python", "-c", WAIT, "HOT_UPDATE_RUN=r1", executable=sys.executable)
    assert (marked(b"HOT_UPDATE_RUN=r1"), marked(b"HOT_UPDATE_RUN=r")) == ([pid], [])


@pytest.mark.parametrize(
    "name",
    ["/x y/gunicorn-inside-test", "gunicorn-inside-test: master [/srv/wsgi:application]", "gunicorn-inside-test3"],
)
def test_processes_finds_a_server_by_its_name(world: World, server: Callable[..., int], name: str) -> None:
    pid = server(name, "-c", WAIT, executable=sys.executable)
    assert servers(world) == [pid]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("/usr/bin/python3 -m gunicorn app:app", True),
        ("python -m gunicorn.app.wsgiapp app:app", True),
        ("python -m celery --app gunicorn", False),
        ("python -c gunicorn", False),
        ("tail -m gunicorn", False),
    ],
)
def test_a_server_is_known_by_the_module_that_python_runs(words: str, expected: bool) -> None:
    assert is_served_by([word.encode() for word in words.split()], b"gunicorn") is expected


def test_processes_finds_a_server_that_is_a_script(world: World, server: Callable[..., int]) -> None:
    script = world.place / "gunicorn-inside-test"
    script.write_text(WAIT)
    pid = server(sys.executable, str(script), executable=sys.executable)
    assert servers(world) == [pid]


def test_processes_leaves_out_whoever_only_reads_the_servers_files(world: World, server: Callable[..., int]) -> None:
    log = world.place / "gunicorn-inside-test.log"
    log.write_text("\n")
    server("tail", str(log), "-f", executable=shutil.which("tail") or "")
    assert servers(world) == []


def test_what_serves_is_fresh_once_it_was_started_after_the_copy(world: World, server: Callable[..., int]) -> None:
    program = world.place / "gunicorn ) (x"
    program.symlink_to(sys.executable)
    old = server("gunicorn-inside-test", "-c", WAIT, executable=str(program))
    world.update(world.commit({"a.py": b"a"}))
    assert fresh(world) == [False]
    os.kill(old, signal.SIGKILL)
    os.waitpid(old, 0)
    server("gunicorn-inside-test", "-c", WAIT, executable=str(program))
    assert fresh(world) == [True]


def test_after_a_reboot_what_serves_is_fresh(world: World, server: Callable[..., int]) -> None:
    server("gunicorn-inside-test", "-c", WAIT, executable=sys.executable)
    world.update(world.commit({"a.py": b"a"}))
    record = json.loads((world.record / "record.json").read_text())
    (world.record / "record.json").write_text(json.dumps({**record, "boot_id": "earlier"}))
    assert fresh(world) == [True]


def test_what_a_process_has_of_its_own_grows_with_what_it_holds() -> None:
    before = own_bytes(os.getpid())
    held = b"x" * (64 << 20)
    assert own_bytes(os.getpid()) - before > len(held) // 2


def test_what_a_process_takes_is_its_part_of_what_it_shares() -> None:
    assert 0 < shared_bytes(os.getpid()) < 4 << 30


def test_a_process_that_has_ended_has_nothing() -> None:
    assert (own_bytes(1 << 30), shared_bytes(1 << 30)) == (0, 0)
