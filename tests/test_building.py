"""What is built on the laptop: whether it is the commit's is looked at, and a command makes it in a clean checkout."""

import io
import os
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import building
from deploy.builds import Build
from deploy.errors import Exit, Failure
from deploy.host.local import LocalHost
from deploy.plan import Plan
from deploy.sandbox.git import commit, git
from deploy.settings import Settings, Target
from deploy.settings.model import Built, Git
from deploy.state import Sources
from deploy.verbs import update
from deploy.verbs.session import Session
from deploy.verbs.update import Decision
from tests.build import STATE
from tests.texts import as_text

PATHSPEC = ":(glob)frontend/**"


class Laptop:
    """A clone with a frontend, and what is built there."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        git(clone.parent, "init", "--quiet", "-b", "main", str(clone))
        (clone / ".gitignore").write_text("dist\n", encoding="utf-8")
        self.write("one")
        self.settings = Settings(target=Target(name="prod", path=str(clone), local=True), git=Git(clone=str(clone)))

    def write(self, text: str) -> None:
        (self.clone / "frontend").mkdir(exist_ok=True)
        (self.clone / "frontend/main.js").write_text(text, encoding="utf-8")
        self.commit = commit(self.clone, text)
        listed = subprocess.run(
            ["git", "-C", str(self.clone), "ls-files", "-s", "-z", "--", PATHSPEC], capture_output=True, check=True
        ).stdout
        hashed = ["git", "-C", str(self.clone), "hash-object", "--stdin"]
        self.digest = subprocess.run(hashed, input=listed, capture_output=True, check=True).stdout.decode().strip()

    @property
    def dist(self) -> Path:
        return self.clone / "frontend/dist"

    def build(self, digest: str = "") -> None:
        self.dist.mkdir(exist_ok=True)
        (self.dist / "index.html").write_text("page", encoding="utf-8")
        if digest:
            (self.dist / ".sources").write_text(f"{digest}\n", encoding="utf-8")

    def wanted(self, command: str = "", timeout: int = 60) -> Build:
        built = Built("frontend/dist", ("frontend/**",), where="laptop", command=command, timeout=timeout)
        return Build("frontend", built, Sources(target=self.digest), "", ("frontend/main.js",), "laptop")

    def check(self, command: str = "") -> None:
        building.check(self.settings, self.wanted(command), self.commit)

    def refused(self, command: str = "") -> str:
        with pytest.raises(Failure) as failure:
            self.check(command)
        assert failure.value.code == Exit.REFUSED
        return str(as_text(failure.value).fact)


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    return Laptop(tmp_path / "clone")


def test_what_tells_the_digest_of_its_sources_is_the_commits_whatever_the_clone_is_at(laptop: Laptop) -> None:
    laptop.build(laptop.digest)
    git(laptop.clone, "commit", "--quiet", "--allow-empty", "-m", "later")
    laptop.check()


def test_without_a_digest_the_clones_sources_and_the_age_tell(laptop: Laptop) -> None:
    laptop.build()
    laptop.check()


def test_nothing_is_taken_where_there_is_nothing(laptop: Laptop) -> None:
    assert "dist is not there" in laptop.refused()


def test_what_tells_another_digest_is_refused(laptop: Laptop) -> None:
    laptop.build("f" * 40)
    assert "was built from other sources" in laptop.refused()


def test_without_a_digest_sources_that_were_edited_since_are_refused(laptop: Laptop) -> None:
    laptop.build()
    (laptop.clone / "frontend/main.js").write_text("edited", encoding="utf-8")
    assert "has other sources than the release" in laptop.refused()


def test_without_a_digest_what_is_older_than_its_sources_is_refused(laptop: Laptop) -> None:
    laptop.build()
    os.utime(laptop.dist / "index.html", (1, 1))
    assert "is older than its sources" in laptop.refused()


def test_a_command_needs_no_more_than_the_commit(laptop: Laptop) -> None:
    laptop.check("true")
    laptop.commit = "f" * 40
    assert "lacks fffffff" in laptop.refused("true")


def deliver(laptop: Laptop, command: str = "", timeout: int = 60) -> dict[str, bytes]:
    """What the host keeps of it, the clone being the host's too."""
    host = LocalHost()
    one = laptop.wanted(command, timeout)
    building.deliver(host, laptop.settings, one, building.made(laptop.settings, one, laptop.commit))
    host.close()
    kept = laptop.clone / f".git/hot-update/built/frontend/{laptop.digest}.tar"
    with tarfile.open(kept) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar if member.isfile()}


def test_the_host_keeps_what_lies_there_without_its_digest(laptop: Laptop) -> None:
    laptop.build(laptop.digest)
    assert deliver(laptop) == {"./index.html": b"page"}


def test_a_command_works_in_a_checkout_of_its_own(laptop: Laptop) -> None:
    (laptop.clone / "frontend/main.js").write_text("edited", encoding="utf-8")
    made = deliver(laptop, "mkdir frontend/dist && cp frontend/main.js frontend/dist/ && rm -r .gitignore")
    assert made == {"./main.js": b"one"}
    assert (laptop.clone / ".gitignore").exists()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("echo no such module; exit 7", "ended with 7"),
        ("true", "made no folder"),
        ("sleep 9", "did not end within 1 s"),
    ],
)
def test_a_command_that_fails_is_a_refusal_that_says_how(laptop: Laptop, command: str, told: str) -> None:
    with pytest.raises(Failure) as failure:
        deliver(laptop, command, timeout=1)
    refused = as_text(failure.value)
    assert (failure.value.code, told in refused.fact) == (Exit.REFUSED, True)
    assert ("no such module" in refused.evidence) == command.startswith("echo")


def test_what_several_hosts_need_is_built_once(
    laptop: Laptop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = [Laptop(_folder(tmp_path / name)) for name in ("one", "other")]
    built = laptop.wanted(f"echo built >>{tmp_path}/log; mkdir frontend/dist && cp frontend/main.js frontend/dist/")
    plan = Plan("hot-update", laptop.commit, ())
    decision = Decision(STATE, (), (), plan, "run", made=(built,))
    clone = Git(clone=str(laptop.clone))
    sessions = [Session(replace(host.settings, git=clone), LocalHost) for host in hosts]
    update.deliver((session, decision) for session in sessions)
    kept = [host.clone / f".git/hot-update/built/frontend/{laptop.digest}.tar" for host in hosts]
    assert [file.exists() for file in kept] == [True, True]
    assert (tmp_path / "log").read_text(encoding="utf-8") == "built\n"
    assert capsys.readouterr().out.count("building frontend") == 1
    for session in sessions:
        session.host.close()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path / "clone"
