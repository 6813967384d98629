"""What the host is told of the programs that run the code, on a real Gunicorn of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.inside.record import boot_id, uptime
from deploy.inside.survey import Survey
from tests.inside.server import SERVER, Gunicorn


@pytest.fixture
def surveyed(gunicorn: Gunicorn) -> Callable[[], dict[str, Any]]:
    """Start nothing; tell of the one server what the host would be told."""

    def survey() -> dict[str, Any]:
        (found,) = (one for one in Survey(gunicorn.settings).facts(None) if one["server"])
        return found

    return survey


def test_a_server_tells_how_many_workers_it_has_and_what_it_was_configured_by(
    gunicorn: Gunicorn, surveyed: Callable[[], dict[str, Any]]
) -> None:
    gunicorn.start(workers=2)
    found = surveyed()
    assert (found["workers"], found["preload"], found["reconfigure"]) == (2, False, False)
    assert found["config"] == str(gunicorn.place / "gunicorn.conf.py")
    assert (SERVER in found["name"], found["supervised"]) == (True, False)
    assert {one["pid"] for one in found["each"]} == gunicorn.workers
    assert {(0 <= one["age"] < 60, one["mib"] > 0) for one in found["each"]} == {(True, True)}


def test_a_preloaded_app_is_told(gunicorn: Gunicorn, surveyed: Callable[[], dict[str, Any]]) -> None:
    (gunicorn.place / "gunicorn.conf.py").write_text("preload_app = True\n")
    os.utime(gunicorn.place / "gunicorn.conf.py", (0, 0))
    gunicorn.start()
    assert surveyed()["preload"] is True


def test_a_preloaded_app_of_the_oldest_gunicorn_of_the_range_is_told(
    oldest: Gunicorn, surveyed: Callable[[], dict[str, Any]]
) -> None:
    oldest.start("--preload")
    assert surveyed()["preload"] is True


def test_a_config_file_that_changed_since_is_told_until_it_was_read_again(
    gunicorn: Gunicorn, surveyed: Callable[[], dict[str, Any]]
) -> None:
    gunicorn.start()
    time.sleep(0.1)
    os.utime(gunicorn.place / "gunicorn.conf.py")
    assert surveyed()["reconfigure"] is True
    assert gunicorn.replace(way="reload").returncode == 0
    assert surveyed()["reconfigure"] is False


def test_a_master_that_was_started_with_a_release_that_is_undone_has_other_settings(
    gunicorn: Gunicorn, surveyed: Callable[[], dict[str, Any]]
) -> None:
    began = uptime()
    gunicorn.start()
    undone = {"boot_id": boot_id(), "from": began, "to": uptime()}
    (gunicorn.place / "record/undone.json").write_text(json.dumps(undone))
    assert surveyed()["reconfigure"] is True
    for other in ({"to": began}, {"from": uptime()}, {"boot_id": "another"}):
        (gunicorn.place / "record/undone.json").write_text(json.dumps(undone | other))
        assert surveyed()["reconfigure"] is False


@pytest.fixture
def program() -> Callable[..., int]:
    """Start a program as an entry point would, and not as one of ours."""

    def start(*words: str, cwd: Path | None = None) -> int:
        orphan = ["sh", "-c", '"$@" >/dev/null & echo $!', "sh", *words]
        made = subprocess.run(orphan, cwd=cwd, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True)
        return int(made.stdout)

    return start


def test_what_else_runs_the_code_is_found_by_its_folder_or_its_words(
    gunicorn: Gunicorn, program: Callable[..., int], tmp_path: Path
) -> None:
    wait = "import time; time.sleep(60)"
    here = program(sys.executable, "-c", wait, cwd=gunicorn.place)
    named = program(sys.executable, "-c", wait, str(gunicorn.place / "job.py"))
    elsewhere = program(sys.executable, "-c", wait)
    shell = program("sleep", "60", cwd=gunicorn.place)
    try:
        found = {one.process.pid for one in Survey(gunicorn.settings).programs}
        assert {here, named} <= found
        assert not {elsewhere, shell} & found
    finally:
        for pid in (here, named, elsewhere, shell):
            os.kill(pid, signal.SIGKILL)
