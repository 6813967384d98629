"""A host that cannot reach the remote: the laptop brings what it lacks."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.sandbox import stack
from deploy.sandbox.compose import execute
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.releases import SUBMODULE
from tests.sandbox.conftest import Inv, SettingsFile, run_inv

pytestmark = pytest.mark.stack


@pytest.fixture
def cut_off(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The production, while its host cannot reach the remote."""
    url = git(sandbox.path, "remote", "get-url", "origin")
    git(sandbox.path, "remote", "set-url", "origin", "git://127.0.0.1:1/app.git")
    yield sandbox
    git(sandbox.path, "remote", "set-url", "origin", url)


@pytest.mark.does("push_submodule")
@pytest.mark.does("deepen")
def test_a_host_that_cannot_reach_the_remote_gets_the_release_from_the_laptop(
    cut_off: Sandbox, given: SettingsFile, inv: Inv, tmp_path: Path
) -> None:
    sandbox, laptop = cut_off, tmp_path / "laptop"
    stack.release(sandbox.name, "code")
    made = stack.release(sandbox.name, "submodule")
    refused = inv("hot-update", "--yes")
    assert (refused.code, "git fetch origin failed: " in refused.out) == (3, True), refused.text

    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{sandbox.origin}", laptop)
    settings = given(f"git: {{via: laptop, clone: {laptop}}}\n")
    refused = run_inv(sandbox.name, *settings, "hot-update", "--yes")
    assert (refused.code, "has no commit in common" in refused.out) == (3, True), refused.text
    (command,) = set(re.findall(r"history only: (git .*?) here", refused.text))
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)

    refused = run_inv(sandbox.name, *settings, "hot-update", "--yes")
    assert (refused.code, f"of the submodule {SUBMODULE}" in refused.out) == (3, True), refused.text
    (command,) = set(re.findall(r"in a clone here that has it: (git .*)", refused.text))
    ssh = f"ssh -i {sandbox.identity} -o UserKnownHostsFile={sandbox.known_hosts}"
    push = ["env", f"GIT_SSH_COMMAND={ssh}", "bash", "-c", command]
    subprocess.run(push, cwd=sandbox.developer, check=True, capture_output=True)

    done = run_inv(sandbox.name, *settings, "hot-update", "--yes")
    assert (done.code, "git fetch" in done.text) == (0, False), done.text
    assert git(sandbox.path, "rev-parse", "HEAD") == git(sandbox.path, "rev-parse", "origin/main") == made
    words = git(sandbox.developer / SUBMODULE, "show", "HEAD:words.py")
    assert execute(sandbox.app, "cat", f"/app/{SUBMODULE}/words.py") == f"{words}\n"
