"""A command that is run as the app server's workers run: with their master's environment, as their user."""

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import inside
from deploy.inside.as_worker import choose
from deploy.inside.processes import Process
from tests.plain import plain

SERVER = f"as-worker-test-{os.getpid()}"
# A master with a worker of another user, as Gunicorn's are.
MASTER = """
import os, time
ready = open(os.environ["READY"], "a")
if not os.fork():
    os.setgroups([4])
    os.setgid(65534)
    os.setuid(65534)
ready.write("x")
ready.flush()
time.sleep(120)
"""
TELL = ["sh", "-c", 'echo "$(id -u):$(id -G) $EXPORTED $OURS $FLASK_APP${GUNICORN_FD-}"']

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def told(forced: str = "", owner: str = "65533:65533") -> tuple[str, str]:
    environment = {"PATH": os.environ["PATH"], "OURS": "ours", "FLASK_APP": "wsgi", "EXPORTED": "the container's"}
    words = [sys.executable, "-I", "-c", inside.as_worker_program(), SERVER, forced, owner, "OURS,", *TELL]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.strip(), plain(ended.stderr).strip()


@pytest.fixture
def master(tmp_path: Path) -> Iterator[None]:
    ready = tmp_path / "ready"
    ready.touch()
    environment = {
        "PATH": os.environ["PATH"],
        "READY": str(ready),
        "OURS": "the master's",
        "EXPORTED": "by the entrypoint",
        "GUNICORN_FD": "7",
    }
    words = [SERVER, "-c", MASTER]
    with subprocess.Popen(words, executable=sys.executable, env=environment, start_new_session=True) as process:
        while len(ready.read_text()) < 2:
            time.sleep(0.01)
        yield
        os.killpg(process.pid, 9)


@pytest.mark.usefixtures("master")
def test_a_command_has_the_masters_environment_and_the_workers_user() -> None:
    assert told() == ("65534:65534 4 by the entrypoint ours wsgi", "")


@pytest.mark.usefixtures("master")
def test_the_user_of_the_settings_overrules_that_of_the_workers() -> None:
    assert told("www", "65533:65533") == ("65533:65533 by the entrypoint ours wsgi", "")


def test_where_no_server_runs_it_is_the_containers_environment_and_the_owner_and_that_is_said() -> None:
    said = f"no {SERVER} runs whose environment could be read: it is the container's, and the user 65533:65533"
    assert told() == ("65533:65533 the container's ours wsgi", said)


def process(pid: int, ppid: int, started: float = 0.0) -> Process:
    return Process(pid, ppid, started, [])


def test_of_several_masters_the_one_with_most_workers_counts_then_the_oldest() -> None:
    web, scheduler = [process(1, 0, 5.0), process(2, 1), process(3, 1)], [process(4, 0, 1.0), process(5, 4)]
    assert choose([*scheduler, *web]) == (1, 3)
    assert choose([*web[:2], *scheduler]) == (4, 5)
    assert choose([process(7, 0)]) == (7, None)
    assert choose([]) is None


def test_what_becomes_a_worker_is_written_in_the_syntax_of_python_3_9() -> None:
    ast.parse(inside.as_worker_program(), feature_version=(3, 9))
