"""A production's clone on real git, to run the scripts of the host on: a bare origin, an author who pushes to it."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy import shell
from deploy.plan import Options
from deploy.preflight import judge
from deploy.state import State, parse, read_script
from tests.build import SETTINGS
from tests.plain import plain_ended
from tests.scripts.runner import until
from tests.texts import as_text

RUN = "20260101T000000-abcd"
HEAD_REF = f"refs/hot-update/saved/{RUN}/head"
PROTECTED = [".env", ".venv", "userdata", "data/keep", ":secret"]


@dataclass(frozen=True)
class Site:
    """A folder with origin, author, clone and an empty home."""

    root: Path

    @property
    def origin(self) -> Path:
        return self.root / "origin.git"

    @property
    def author(self) -> Path:
        return self.root / "author"

    @property
    def clone(self) -> Path:
        return self.root / "the clone"

    @property
    def environment(self) -> dict[str, str]:
        home = self.root / "home"
        return {
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_NOSYSTEM": "1",
            "TMPDIR": str(self.root / "tmp"),
        }

    def git(self, *words: str, folder: Path | None = None) -> str:
        identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "safe.directory=*")
        command = ("git", "-C", str(folder or self.clone), *identity, *words)
        return subprocess.run(
            command, env=self.environment, check=True, capture_output=True, encoding="utf-8"
        ).stdout.strip()

    def release(self, files: dict[str, str | None], subject: str = "release") -> str:
        """Publish a commit with these files (None: deleted)."""
        for name, text in files.items():
            if text is None:
                self.git("rm", "-q", "--", name, folder=self.author)
            else:
                write(self.author / name, text)
                self.git("add", "-f", "--", f":(literal){name}", folder=self.author)
        self.git("commit", "-q", "-m", subject, folder=self.author)
        self.git("push", "-q", "origin", "HEAD:main", folder=self.author)
        return self.git("rev-parse", "HEAD", folder=self.author)

    def script(
        self, revision: str, *, discard: bool = False, back: bool = False, remote: str = "origin", **others: str
    ) -> str:
        variables: dict[str, shell.Variable] = {
            "path": str(self.clone),
            "remote": remote,
            "branch": "main",
            "revision": revision,
            "run": RUN,
            "discard": discard,
            "back": back,
            "protected": PROTECTED,
            "fetch_timeout": 20,
            "via": "host",
            "container": "",
            "env_file": "",
            "secret_words": (),
            "secret_min_length": 8,
        }
        return shell.script("worktree.sh", "steps/sync.sh", **(variables | others))

    def sync(
        self, revision: str, *, discard: bool = False, back: bool = False, remote: str = "origin", path: str = ""
    ) -> subprocess.CompletedProcess[str]:
        environment = self.environment | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.script(revision, discard=discard, back=back, remote=remote)],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
        )
        return plain_ended(ended)

    def sync_ahead(
        self, revision: str, meanwhile: Callable[[], object], *, turn: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Begin it ahead of its turn, which comes, or never does, once it waits for that and something was done."""
        script = self.script(revision).replace("\nawait_turn\n", "\ntouch waits\nawait_turn\n")
        words, environment = ["bash", "-euo", "pipefail", "-c", script], self.environment | {"ahead": "60"}
        pipe = subprocess.PIPE
        with subprocess.Popen(
            words,
            cwd=self.root,
            env=environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        ) as running:
            until((self.root / "waits").exists)
            meanwhile()
            stdout, stderr = running.communicate("\n" if turn else "")
        return plain_ended(subprocess.CompletedProcess(words, running.returncode, stdout, stderr))

    def undo(self, revision: str) -> subprocess.CompletedProcess[str]:
        """Undo what the sync to this revision did."""
        script = self.script(revision).replace(shell.source("steps/sync.sh"), shell.source("steps/sync.undo.sh"))
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
        )
        return plain_ended(ended)

    def read(self, target: str = "remote") -> State:
        """What the reading script tells, where there is no Docker."""
        settings = replace(SETTINGS, target=replace(SETTINGS.target, path=str(self.clone)))
        environment = self.environment | {"PATH": str(without_docker(self.root / "without-docker"))}
        # Too long for a word of a command line.
        script = self.root / "read.sh"
        script.write_text(read_script(settings, target=target), encoding="utf-8")
        told = subprocess.run(
            ["bash", str(script)],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
        )
        assert told.stderr == ""
        return parse(told.stdout)

    def findings(self, *checks: str, target: str = "remote") -> list[Any]:
        """What the preflight finds for these checks, as a person reads it."""
        return [as_text(found) for found in judge(SETTINGS, self.read(target), Options()) if found.check in checks]

    def bring_back(self, said: str) -> None:
        """Run exactly the printed commands."""
        for line in said.splitlines():
            if line.startswith("bring it back: "):
                command = line.removeprefix("bring it back: ")
                subprocess.run(["bash", "-c", command], env=self.environment, check=True, capture_output=True)

    def ref(self, name: str) -> str:
        return self.git("rev-parse", "-q", "--verify", name)

    def saved(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname)", "refs/hot-update").splitlines()

    def snapshot(self) -> tuple[str, ...]:
        """All that a refusal must leave as it is."""
        return (
            self.ref("HEAD"),
            self.git("status", "--porcelain", "-z", "-uall", "--ignored"),
            self.git("for-each-ref", "refs/heads", "refs/hot-update", "refs/stash"),
            *(
                f"{p}:{p.read_bytes()!r}"
                for p in sorted(self.clone.rglob("*"))
                if p.is_file() and ".git" not in p.parts
            ),
        )


def without_docker(folder: Path) -> Path:
    """Make the folder of a PATH on which everything is found but Docker."""
    if not folder.exists():
        folder.mkdir()
        for place in ("/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/bin"):
            for tool in Path(place).glob("*"):
                if not tool.name.startswith("docker") and not (folder / tool.name).is_symlink():
                    (folder / tool.name).symlink_to(tool)
    return folder


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    return file


def make(root: Path) -> Site:
    site = Site(root)
    for name in ("home", "tmp", "author"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(site.origin)], env=site.environment, check=True)
    site.git("init", "-q", "-b", "main", folder=site.author)
    site.git("remote", "add", "origin", "../origin.git", folder=site.author)
    site.release({"app.py": "one\n", "lib/tool.py": "one\n", ".gitignore": ".env\n*.log\nuserdata\n"}, "first")
    site.git("clone", "-q", str(site.origin), str(site.clone), folder=root)
    site.git("remote", "set-url", "origin", "../origin.git")
    write(site.clone / ".env", "SECRET_KEY=abcdefgh\n")
    write(site.clone / "userdata/upload.bin", "customer\n")
    return site
