"""What the stack starts itself may know its secrets; what docker exec starts may not show them."""

import os
from pathlib import Path

import pytest

from deploy.sandbox.command import run
from deploy.sandbox.home import Sandbox
from tests.leaks import Watch

pytestmark = pytest.mark.stack

SECRET = "made-up-0123456789abcdef"
# A shell that does not become the program that it runs.
PROGRAM = ("sh", "-c", "sleep 2; exit", SECRET)


def programs_found(sandboxes: Path, *docker: str) -> list[str]:
    """Run the program by docker with a secret on its command line; the commands found but docker's own."""
    made_up = sandboxes / f"demo-{os.getpid()}"
    made_up.mkdir()
    (made_up / "env").write_text(f"SECRET_KEY={SECRET}\n", encoding="utf-8")
    with Watch(sandboxes) as watch:
        run("docker", *docker)
        lines = [found.removeprefix("SECRET_KEY is in the command line of ") for found in watch.found()]
    assert any(line.startswith("docker ") for line in lines), lines
    return [line for line in lines if line.startswith("sh ")]


def test_what_docker_exec_starts_is_looked_at(shared: Sandbox, tmp_path: Path) -> None:
    found = programs_found(tmp_path, "exec", shared.app, *PROGRAM)
    assert found == ["sh -c sleep 2; exit [SECRET_KEY]"]


def test_what_a_container_starts_itself_is_its_own(shared: Sandbox, tmp_path: Path) -> None:
    found = programs_found(tmp_path, "run", "--rm", "--entrypoint", "sh", shared.image, *PROGRAM[1:])
    assert found == []
