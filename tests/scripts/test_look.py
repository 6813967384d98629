"""The look before a run is confirmed, which the host gets ready for while the run is still at work."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deploy.state import parse, read_script
from tests.build import SETTINGS
from tests.scripts.runner import until
from tests.steps.site import RUN, Site, make

# Knows no container, and notes what it was asked for.
DOCKER = '#!/bin/sh\necho "$1" >>{asked}\nexit 1\n'


@dataclass
class Look:
    site: Site

    @property
    def journal(self) -> Path:
        return self.site.clone / ".git/hot-update/runs" / RUN / "journal"

    @property
    def asked(self) -> list[str]:
        asked = self.site.root / "asked"
        return asked.read_text().split() if asked.exists() else []

    @contextmanager
    def run(self) -> Iterator[None]:
        """A run that is at work, as far as others know it."""
        self.journal.parent.mkdir(parents=True)
        self.journal.write_text("1.000\tbegin\trestart\n")
        alive = str(self.journal.with_name("alive"))
        with subprocess.Popen(["flock", alive, "cat"], stdin=subprocess.PIPE) as harness:
            until(lambda: subprocess.run(["flock", "-n", alive, "true"], check=False).returncode != 0)
            yield
            harness.communicate()

    def begin(self) -> "subprocess.Popen[str]":
        """The look, once it waits for the run."""
        script = self.site.root / "look.sh"
        target = replace(SETTINGS.target, path=str(self.site.clone))
        script.write_text(read_script(replace(SETTINGS, target=target), target="serving", run=RUN))
        docker = self.site.root / "docker" / "docker"
        docker.parent.mkdir()
        docker.write_text(DOCKER.format(asked=self.site.root / "asked"))
        docker.chmod(0o755)
        environment = self.site.environment | {"PATH": f"{docker.parent}:{os.environ['PATH']}"}
        looking = subprocess.Popen(
            ["bash", str(script)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        until(lambda: self.asked == ["exec"])
        return looking

    def told_after(self, event: str) -> str:
        """What it tells of a run that journals this at last."""
        with self.run():
            looking = self.begin()
            with self.journal.open("a") as journal:
                journal.write(f"2.000\t{event}\n")
        return looking.communicate(timeout=60)[0]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    return Look(make(tmp_path))


def test_it_gets_ready_and_waits_until_the_run_is_to_be_confirmed(look: Look) -> None:
    assert parse(look.told_after("confirming\t60")).containers == {}
    assert "ps" in look.asked


def test_nothing_is_looked_at_where_the_run_ends_otherwise(look: Look) -> None:
    assert (look.told_after("done\tundone"), look.asked) == ("", ["exec"])
