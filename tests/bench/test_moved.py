"""Counting what a step moves into the container, with a program in docker's place that answers what it reads."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.plan import ASKED_FOR, Plan, Step
from tests.bench.moved import counting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec cat\n")
    program.chmod(0o755)
    return tmp_path


def printed(folder: Path, script: str) -> str:
    """Run a step called copy that counts what it moves into the container app."""
    (step,) = counting(Plan("hot-update", "1" * 40, (Step("copy", ASKED_FOR, script, 60, ()),)), "app").steps
    environment = os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    options = ["bash", "-euo", "pipefail", "-c", step.script]
    return subprocess.run(options, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def counts(folder: Path) -> list[str]:
    return [f"{file.name} {file.read_text()}" for file in folder.glob("moved.*")]


@pytest.mark.parametrize(
    "command", ["docker exec -i app sh", "timeout -k 5 60 docker exec -i -u 0 -e RUN=1 app python -I"]
)
def test_the_container_reads_all_and_it_is_counted(folder: Path, command: str) -> None:
    assert printed(folder, f"printf 'four' | {command}\n") == "four"
    assert counts(folder) == ["moved.copy 4\n"]


@pytest.mark.parametrize("command", ["docker exec -i database psql", "docker exec app true", "timeout 60 cat"])
def test_what_goes_elsewhere_is_not_counted(folder: Path, command: str) -> None:
    assert printed(folder, f"printf 'four' | {command}\n") == "four"
    assert counts(folder) == []
