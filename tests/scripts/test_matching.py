"""The commit that an app's folder has the files of: the real script and program, on a real repository."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import inside, shell
from tests.inside.world import World, lay
from tests.scripts.docker_here import docker_here

AWKS = [name for name in ("mawk", "gawk") if shutil.which(name)]


class Made(World):
    """A repository, and the folder of an app that was made from it at some time."""

    def make(self, revision: str, *left_out: str) -> None:
        """Fill the app's folder with the files of a commit, as a build of the image does."""
        shutil.rmtree(self.app)
        self.app.mkdir()
        self.git("--work-tree", str(self.app), "checkout", "-q", "-f", revision, "--", ".")
        self.git("reset", "-q", "--hard")
        for name in left_out:
            (self.app / name).unlink()

    @property
    def scratch(self) -> Path:
        return self.place / "scratch"

    def matching(self, awk: str, *copied: str, created: str = "2030-01-01T00:00:00Z") -> str:
        """What the script says of an image of that date; it leaves the clone's objects and index alone."""
        self.scratch.mkdir(exist_ok=True)
        names = docker_here(self.place / "bin")
        (names / "awk").unlink(missing_ok=True)
        (names / "awk").symlink_to(str(shutil.which(awk)))
        objects = self.git("count-objects", "-v")
        script = shell.script(
            "containers.sh",
            "trees.sh",
            "matching.sh",
            path=str(self.repo),
            remote="origin",
            branch="main",
            scratch=str(self.scratch),
            copied=(".", *copied),
            container="app",
            python=sys.executable,
            inside_settings=json.dumps(self.settings),
            **inside.variables(),
        )
        path = f"PATH={shlex.quote(str(names))}:$PATH\n"
        ended = subprocess.run(
            ["bash", "-c", f"{path}{script}matching {shlex.quote(created)}"], capture_output=True, text=True, check=True
        )
        assert (ended.stderr, self.git("count-objects", "-v")) == ("", objects)
        return ended.stdout.strip()


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.fixture(params=AWKS)
def awk(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def releases(made: Made) -> list[str]:
    """A change, an addition, a deletion, a mode."""
    return [
        made.commit({"Dockerfile": b"FROM", "a.py": b"1", "b.py": b"b", "lib/数 据\n.txt": "b.py"}),
        made.commit({"a.py": b"2"}),
        made.commit({"lib/c.py": b"c"}),
        made.commit({}, "b.py"),
    ]


@pytest.mark.parametrize("number", range(4))
def test_the_commit_that_the_image_was_made_from_is_found(
    made: Made, awk: str, releases: list[str], number: int
) -> None:
    made.make(releases[number], "Dockerfile")
    assert made.matching(awk) == releases[number]


def test_what_git_never_knew_is_tolerated(made: Made, awk: str, releases: list[str]) -> None:
    made.make(releases[2])
    lay(made.app, "gunicorn.conf.py", b"made by the image")
    lay(made.app, "userdata/upload", b"a customer's")
    lay(made.app, "__pycache__/a.pyc", b"bytecode")
    lay(made.app, ".git/config", b"of nobody")
    assert made.matching(awk) == releases[2]


def test_a_file_with_other_bytes_is_no_match(made: Made, awk: str, releases: list[str]) -> None:
    made.make(releases[2])
    lay(made.app, "a.py", b"by hand")
    assert made.matching(awk) == ""


def test_another_mode_is_tolerated_as_images_are_built_with_modes_of_their_own(
    made: Made, awk: str, releases: list[str]
) -> None:
    made.make(releases[2])
    (made.app / "a.py").chmod(0o755)
    assert made.matching(awk) == releases[2]


def test_an_excluded_file_may_differ(made: Made, awk: str, releases: list[str]) -> None:
    made.make(releases[2])
    lay(made.app, "a.py", b"by hand")
    assert made.matching(awk, ":(exclude,glob)a.py") == releases[2]


def test_of_commits_with_the_same_files_the_newest_is_found(made: Made, awk: str, releases: list[str]) -> None:
    made.make(releases[-1])
    again = made.commit({})
    assert made.matching(awk) == again


def test_a_commit_of_another_branch_is_found(made: Made, awk: str, releases: list[str]) -> None:
    made.git("branch", "old", releases[-1])
    made.git("reset", "-q", "--hard", releases[0])
    made.make(releases[-1])
    assert made.matching(awk) == releases[-1]


def test_a_commit_of_long_ago_is_found_by_the_date_of_its_image(made: Made, awk: str, releases: list[str]) -> None:
    made.make(releases[-1])
    later = 1893456000
    history = "".join(
        f"commit refs/heads/later\ncommitter x <x@y> {later + number} +0000\ndata 1\nx\n"
        + (f"from {releases[-1]}\n" if number == 0 else "")
        + f"M 100644 inline a.py\ndata 4\n{number:04}\n"
        for number in range(201)
    )
    made.git("fast-import", "--quiet", sent=history.encode())
    made.git("checkout", "-q", "later")
    assert made.matching(awk, created="2029-12-01T00:00:00.123456789Z") == releases[-1]


def test_an_image_without_a_date_is_matched_all_the_same(made: Made, awk: str, releases: list[str]) -> None:
    made.make(releases[1])
    assert (made.matching(awk, created=""), made.matching(awk, created="0001-01-01T00:00:00Z")) == (releases[1],) * 2


def test_a_commit_that_has_next_to_none_of_the_files_is_no_match(made: Made, awk: str) -> None:
    made.commit({"README": b"read me"})
    last = made.commit({f"{name}.py": name.encode() for name in "abcdef"})
    made.make(last)
    lay(made.app, "a.py", b"by hand")
    assert made.matching(awk) == ""
