"""The logs of a real production, told as one."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from deploy.errors import Exit
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import ROOT, Inv

pytestmark = pytest.mark.stack


LOG = "/app/userdata/logs/gunicorn_error.log"


def write(sandbox: Sandbox, line: str) -> None:
    """Add a line to the server's log, which may hold a secret, and so stands on no command line."""
    command = ["docker", "exec", "-i", sandbox.app, "tee", "-a", LOG]
    subprocess.run(command, input=f"{line}\n", check=True, capture_output=True, text=True)


def reading(sandbox: Sandbox) -> bool:
    """Does the program that tells the logs run in the container?"""
    told = subprocess.run(["docker", "top", sandbox.app, "-eo", "pid,args"], check=True, capture_output=True, text=True)
    return '"follow": true' in told.stdout


def test_every_log_is_told_and_what_matches_alone(sandbox: Sandbox, inv: Inv) -> None:
    told = inv("logs", "--tail", "20")
    assert told.code == 0, told.text
    sources = {line.split()[0] for line in told.out.splitlines()}
    assert {"supervisord", "gunicorn_error", sandbox.app} <= sources
    booting = inv("logs", "--kind", "server", "--grep", "Booting worker")
    assert booting.out.splitlines()
    assert all("Booting worker" in line for line in booting.out.splitlines())


def test_what_comes_is_told_without_secrets_until_ctrl_c_which_leaves_nothing(sandbox: Sandbox) -> None:
    secret = dict(line.split("=", 1) for line in sandbox.env_file.read_text().splitlines() if "=" in line)[
        "JWT_SECRET_KEY"
    ].strip('"')
    command = [sys.executable, "-m", "invoke", "logs", "--target", sandbox.name, "--follow", "--grep", "secret"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as following:
        # Whatever goes wrong here, it ends.
        late = threading.Timer(60, following.kill)
        late.start()
        wait_for(lambda: reading(sandbox))
        write(sandbox, f"2026-07-02 10:00:00,000 the secret is {secret}\nand its traceback\n2026-07-02 10:00:01 more")
        assert following.stdout
        told = [following.stdout.readline().split(maxsplit=1) for _ in range(2)]
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=30) == Exit.INTERRUPTED
        late.cancel()
    assert told == [
        ["gunicorn_error", "2026-07-02 10:00:00,000 the secret is [JWT_SECRET_KEY]\n"],
        ["gunicorn_error", "and its traceback\n"],
    ]
    wait_for(lambda: not reading(sandbox))


def wait_for(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.1)
