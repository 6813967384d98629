"""What is built on the host: the real scripts, in a real clone."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from deploy import shell
from deploy.message import unpack
from deploy.sandbox.git import commit, git
from deploy.wording import text

PATHSPEC = ":(glob)frontend/**"


class Clone:
    """A clone with a frontend."""

    def __init__(self, path: Path) -> None:
        self.path = path
        git(path.parent, "init", "--quiet", "-b", "main", str(path))
        (path / ".gitignore").write_text("dist\n", encoding="utf-8")
        (path / "frontend").mkdir()
        (path / "frontend/main.js").write_text("one", encoding="utf-8")
        self.commit = commit(path, "one")
        (path.parent / "scratch").mkdir()

    @property
    def dist(self) -> Path:
        return self.path / "frontend/dist"

    def bash(self, command: str, *sources: str, **variables: shell.Variable) -> subprocess.CompletedProcess[str]:
        scratch = str(self.path.parent / "scratch")
        script = shell.script("trees.sh", "built.sh", *sources, path=str(self.path), scratch=scratch, **variables)
        begin = "set -euo pipefail\n"
        return subprocess.run(
            ["bash", "-c", begin + script + command], cwd="/", capture_output=True, text=True, check=False
        )

    def digest(self) -> str:
        asked = f'by_owner mkdir -p "$scratch/objects"; sources {self.commit} "{PATHSPEC}"'
        return self.bash(asked).stdout.strip()

    def state(self, digest: str) -> str:
        return self.bash(f'built_in_clone frontend/dist {digest} "{PATHSPEC}"').stdout.strip()

    def build(self, command: str) -> subprocess.CompletedProcess[str]:
        words = ("frontend", "frontend/dist", self.digest(), command, "60", PATHSPEC)
        return self.bash("", "steps/build.sh", revision=self.commit, builds=words)

    @property
    def kept(self) -> list[Path]:
        return sorted((self.path / ".git/hot-update/built/frontend").glob("*.tar"))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "clone")


def told(answer: subprocess.CompletedProcess[str]) -> str:
    return "\n".join(text(unpack(line)) for line in (answer.stdout + answer.stderr).splitlines())


def test_the_digest_is_what_the_settings_tell_to_write(clone: Clone) -> None:
    told = f"git ls-files -s -z -- '{PATHSPEC}' | git hash-object --stdin"
    asked = subprocess.run(["sh", "-c", told], cwd=clone.path, capture_output=True, text=True, check=True)
    assert clone.digest() == asked.stdout.strip()


def test_a_folder_is_proven_by_its_digest_else_by_its_age_and_the_clones_sources(clone: Clone) -> None:
    digest = clone.digest()
    states = [clone.state(digest)]
    clone.dist.mkdir()
    (clone.dist / "index.html").touch()
    states.append(clone.state(digest))
    os.utime(clone.dist / "index.html", (1, 1))
    states.append(clone.state(digest))
    (clone.dist / ".sources").write_text(digest, encoding="utf-8")
    states.append(clone.state(digest))
    (clone.dist / ".sources").write_text("f" * 40, encoding="utf-8")
    states.append(clone.state(digest))
    (clone.dist / ".sources").unlink()
    (clone.path / "frontend/main.js").write_text("edited", encoding="utf-8")
    states.append(clone.state(digest))
    assert states == ["none", "younger", "older", "same", "other", "other"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives files to another user")
def test_a_command_runs_as_the_clones_owner_in_a_checkout_of_its_own(clone: Clone) -> None:
    for folder in (clone.path.parent, *clone.path.parent.parents):
        # pytest keeps others out of what it makes.
        if folder.owner() == "root" and folder.stat().st_mode & 0o777 == 0o700:
            folder.chmod(0o755)
    subprocess.run(["chown", "-R", "nobody", clone.path.parent], check=True)
    answer = clone.build("mkdir frontend/dist && id -un >frontend/dist/who && rm -r .gitignore")
    assert answer.returncode == 0, told(answer)
    with tarfile.open(clone.kept[0]) as tar:
        who = tar.extractfile("./who")
        assert who
        assert who.read() == b"nobody\n"
    assert (clone.kept[0].owner(), (clone.path / ".gitignore").exists()) == ("nobody", True)


@pytest.mark.parametrize("command", ["echo no such module; exit 7", "true", "mkdir frontend/dist; exit 1"])
def test_of_a_command_that_fails_nothing_is_kept(clone: Clone, command: str) -> None:
    answer = clone.build(command)
    assert (answer.returncode != 0, clone.kept) == (True, [])
    assert ("no such module" in told(answer)) == command.startswith("echo")


def test_the_newest_few_are_kept(clone: Clone) -> None:
    for number in range(8):
        clone.bash(f"keep_built frontend {number}{'0' * 39} echo {number}")
        os.utime(clone.path / f".git/hot-update/built/frontend/{number}{'0' * 39}.tar", (number, number))
    assert [file.name[0] for file in clone.kept] == ["3", "4", "5", "6", "7"]
