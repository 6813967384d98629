"""What a test compares before and after: the facts of a sandbox that only a change can change."""

from dataclasses import dataclass

from deploy.sandbox.command import run
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox

RECORD = "/var/lib/hot-update/record.json"


@dataclass(frozen=True)
class Facts:
    """What is where: the clone's commit and branch, the container and its processes, the record of what runs in it."""

    head: str
    branch: str
    status: str
    container: str
    started: str
    record: str


def facts(sandbox: Sandbox) -> Facts:
    """Look at the sandbox without the verbs' help."""
    container, started = run("docker", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}", sandbox.app).split()
    return Facts(
        head=git(sandbox.path, "rev-parse", "HEAD"),
        branch=git(sandbox.path, "rev-parse", "--abbrev-ref", "HEAD"),
        status=git(sandbox.path, "status", "--porcelain"),
        container=container,
        started=started,
        record=run("docker", "exec", sandbox.app, "sh", "-c", f"cat {RECORD} 2>/dev/null || true"),
    )


def holder(sandbox: Sandbox) -> str:
    """Return who holds the host's lock; nothing where nobody does."""
    file = sandbox.path / ".git/hot-update/holder"
    return file.read_text(encoding="utf-8") if file.exists() else ""
