"""Releases that only the benchmark publishes."""

from random import Random

from deploy.sandbox.git import commit, git
from deploy.sandbox.home import Sandbox

# One of the files that fill the sandbox's repository.
FILE, FILE_BYTES = "app/static/assets/00/asset-0000.bin", 17_000
BULK, BULK_FOLDERS = "app/static/bulk", 100


def change_one_file(sandbox: Sandbox) -> None:
    """Publish a release in which one file of 17 KB has changed."""
    number = int(git(sandbox.developer, "rev-list", "--count", "HEAD"))
    (sandbox.developer / FILE).write_bytes(Random(number).randbytes(FILE_BYTES))
    _publish(sandbox, "Change one file")


def grow(sandbox: Sandbox, files: int) -> None:
    """Publish a release that has this many files."""
    missing = files - count(sandbox)
    for number in range(missing):
        file = sandbox.developer / BULK / f"{number % BULK_FOLDERS:02}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"file {number}\n")
    _publish(sandbox, f"Have {files} files")


def count(sandbox: Sandbox) -> int:
    return len(git(sandbox.developer, "ls-files").splitlines())


def _publish(sandbox: Sandbox, subject: str) -> None:
    commit(sandbox.developer, subject)
    git(sandbox.developer, "push", "--quiet", "origin", "main")
