"""A deployment that inv init adopts: the file that it writes does unedited, and nothing on the host is changed."""

import re
import subprocess
from pathlib import Path

import yaml

from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Inv

# Those that only look, and an update.
VERBS = (
    ("health",),
    ("preflight",),
    ("status",),
    ("migrate", "--current"),
    ("hot-update", "--yes"),
    ("init", "--check"),
)


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


def works(bare: Inv, sandbox: Sandbox, folder: Path) -> list[str]:
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
    for verb in VERBS:
        assert (verb, bare(*verb).code) == (verb, 0)
    return [f"{section}.{key}" for section, keys in yaml.safe_load(text).items() for key in keys]
