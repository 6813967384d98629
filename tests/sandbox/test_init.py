"""inv init on real deployments: the file that it writes does unedited, and nothing on the host is changed."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import ROOT, Ended

pytestmark = pytest.mark.stack

Bare = Callable[..., Ended]


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """A checkout without a settings file; runs a verb in it."""
    shutil.copy(ROOT / "tasks.py", tmp_path)

    def run(*words: str) -> Ended:
        command = [sys.executable, "-m", "invoke", *words]
        ended = subprocess.run(
            command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


def reach(sandbox: Sandbox, known_hosts: Path) -> tuple[str, ...]:
    """The words that lead to a sandbox, whose key nobody knows yet."""
    files = f"--set=ssh.identity={sandbox.identity}", f"--set=ssh.known_hosts={known_hosts}"
    return f"--host={sandbox.user}@127.0.0.1:{sandbox.ssh_port}", f"--path={sandbox.path}", *files, "--yes"


def told(*command: str) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def state(sandbox: Sandbox) -> dict[str, list[str]]:
    """What nobody may change: containers, clone, and files, beside logs and what preflight keeps in the container."""
    names = told(
        "docker", "ps", "--quiet", "--no-trunc", "--filter", f"label=com.docker.compose.project={sandbox.project}"
    )
    running = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}}"
    clone = str(sandbox.path)
    own = ("/userdata", "/var/log", "/var/lib/hot-update", "/var/lib", "/tmp")
    return {
        "containers": told("docker", "inspect", "--format", running, *sorted(names)),
        "changed": sorted(
            line for name in names for line in told("docker", "diff", name) if not any(one in line for one in own)
        ),
        "clone": told("git", "-C", clone, "status", "--porcelain", "--branch", "--ignored", "--untracked-files=all")[
            1:
        ],
        "head": told("git", "-C", clone, "rev-parse", "HEAD"),
        "files": sorted(told("find", clone, "-not", "-path", f"{clone}/.git*", "-printf", "%p %i %m %s %T@\n")),
    }


def works(bare: Bare, sandbox: Sandbox, folder: Path) -> list[str]:
    """Have a file written and use it; the keys that it has, by their sections."""
    words = reach(sandbox, folder / "known_hosts")
    refused = bare("init", *words)
    assert (refused.code, (folder / "invoke.yaml").exists()) == (3, False)
    fingerprint = re.findall("SHA256:[A-Za-z0-9+/]+", refused.err)[0]
    before = state(sandbox)
    written = bare("init", *words, f"--accept-host-key={fingerprint}")
    assert (written.code, state(sandbox)) == (0, before), written.text
    assert "0 refusals" in written.out
    assert bare("init", *words).code == 2
    text = (folder / "invoke.yaml").read_text(encoding="utf-8")
    for verb in (("health",), ("preflight",), ("hot-update", "--yes"), ("init", "--check")):
        assert (verb, bare(*verb).code) == (verb, 0)
    return [f"{section}.{key}" for section, keys in yaml.safe_load(text).items() for key in keys]


def test_whalefall_comes_out_as_target_containers_and_ports(bare: Bare, today: Sandbox, tmp_path: Path) -> None:
    assert works(bare, today, tmp_path) == [
        *("targets.prod", "ssh.identity", "ssh.known_hosts", "app.container", "app.image"),
        *("database.container", "redis.container", "health.checks"),
    ]


def test_an_app_of_another_layout_is_updated_with_the_file_as_it_was_written(
    bare: Bare, celery: Sandbox, tmp_path: Path
) -> None:
    assert "also.celery_worker" in works(bare, celery, tmp_path)
    file = tmp_path / "invoke.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("user: shop", "user: other"))
    drifted = bare("init", "--check")
    assert drifted.code == 3
    assert "database.user: other, but found is shop" in drifted.out
