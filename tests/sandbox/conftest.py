"""One production for every test that does not disturb the others, and the verbs as the operator runs them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.sandbox import engine, stack
from deploy.sandbox.home import Sandbox
from tests import commands, forked, leaks

ROOT = Path(__file__).resolve().parent.parent.parent


def without_times(text: str) -> str:
    return re.sub(r"^\d\d:\d\d:\d\d  ", "", text, flags=re.MULTILINE)


@dataclass(frozen=True)
class Ended:
    """How a verb ended: its exit code and everything that it printed, but for the times of day before a run's lines."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", without_times(self.out))
        leaks.printed.append(self.text)
        assert commands.wrong(self.text) == []

    @property
    def text(self) -> str:
        return self.out + self.err


Inv = Callable[..., Ended]
SettingsFile = Callable[[str], tuple[str, str]]


def run_inv(target: str, *words: str, environment: dict[str, str] | None = None) -> Ended:
    """Run a verb as a process of its own, without a terminal; one with an environment of its own is started afresh."""
    words = (*words, *(("--target", target) if target else ()))
    if environment is None:
        return Ended(*forked.run(words, ROOT, 300))
    ended = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(autouse=True)
def no_leak(watch: leaks.Watch) -> Iterator[None]:
    """Whatever a test does, nobody may see a secret meanwhile or find one afterwards."""
    yield
    if found := watch.found():
        pytest.fail("\n".join(found), pytrace=False)


@pytest.fixture(scope="session")
def docker() -> None:
    """Fail rather than skip: inv test leaves these tests out where Docker is not usable, and says so."""
    problem = engine.usable()
    assert problem is None, f"{problem}: run inv test --install"


@pytest.fixture(scope="session")
def shared(docker: None) -> Iterator[Sandbox]:
    """A production whose app imports quickly; made once."""
    name = f"test-{os.getpid()}"
    yield stack.up(name, shape="january", import_seconds=0.3, tell=lambda told: None)
    stack.down(name, tell=lambda told: None)


@pytest.fixture
def sandbox(shared: Sandbox) -> Iterator[Sandbox]:
    """The shared production; what a test broke is mended after it."""
    yield shared
    stack.restore(shared.name)


@pytest.fixture
def inv(sandbox: Sandbox) -> Inv:
    """Run a verb on the shared production."""
    return lambda *words: run_inv(sandbox.name, *words)


@pytest.fixture(scope="session")
def shared_today(docker: None) -> Iterator[Sandbox]:
    """A production of today's shape; made once, where a test asks for it."""
    name = f"today-{os.getpid()}"
    yield stack.up(name, shape="today", import_seconds=0.3, tell=lambda told: None)
    stack.down(name, tell=lambda told: None)


@pytest.fixture
def today(shared_today: Sandbox) -> Iterator[Sandbox]:
    """The shared production of today's shape; what a test broke is mended after it."""
    yield shared_today
    stack.restore(shared_today.name)


@pytest.fixture
def inv_today(today: Sandbox) -> Inv:
    """Run a verb on the shared production of today's shape."""
    return lambda *words: run_inv(today.name, *words)


@pytest.fixture(scope="module")
def shared_celery(docker: None) -> Iterator[Sandbox]:
    """A production with Celery's worker and beat in containers of their own."""
    name = f"celery-{os.getpid()}"
    yield stack.up(name, shape="celery", import_seconds=0.3, tell=lambda told: None)
    stack.down(name, tell=lambda told: None)


@pytest.fixture
def celery(shared_celery: Sandbox) -> Iterator[Sandbox]:
    """The shared production with Celery; what a test broke is mended after it."""
    yield shared_celery
    stack.restore(shared_celery.name)


@pytest.fixture
def inv_celery(celery: Sandbox) -> Inv:
    """Run a verb on the shared production with Celery."""
    return lambda *words: run_inv(celery.name, *words)


@pytest.fixture(scope="module")
def shared_replicas(docker: None) -> Iterator[Sandbox]:
    """A production with two containers of its app and its database elsewhere."""
    name = f"replicas-{os.getpid()}"
    yield stack.up(name, shape="replicas", import_seconds=0.3, tell=lambda told: None)
    stack.down(name, tell=lambda told: None)


@pytest.fixture
def replicas(shared_replicas: Sandbox) -> Iterator[Sandbox]:
    """The shared production with replicas; what a test broke is mended after it."""
    yield shared_replicas
    stack.restore(shared_replicas.name)


@pytest.fixture
def inv_replicas(replicas: Sandbox) -> Inv:
    """Run a verb on the shared production with replicas."""
    return lambda *words: run_inv(replicas.name, *words)


@pytest.fixture(scope="module")
def shared_mounted(docker: None) -> Iterator[Sandbox]:
    """A production whose code is mounted from the clone, with MariaDB."""
    name = f"mounted-{os.getpid()}"
    yield stack.up(name, shape="mounted", import_seconds=0.3, tell=lambda told: None)
    stack.down(name, tell=lambda told: None)


@pytest.fixture
def mounted(shared_mounted: Sandbox) -> Iterator[Sandbox]:
    """The shared production with mounted code; what a test broke is mended after it."""
    yield shared_mounted
    stack.restore(shared_mounted.name)


@pytest.fixture
def inv_mounted(mounted: Sandbox) -> Inv:
    """Run a verb on the shared production with mounted code."""
    return lambda *words: run_inv(mounted.name, *words)


@pytest.fixture(scope="module")
def shared_hosts(docker: None) -> Iterator[tuple[Sandbox, ...]]:
    """A production of three hosts with one origin and one database."""
    name = f"hosts-{os.getpid()}"
    yield stack.up(name, hosts=3, import_seconds=0.3, tell=lambda told: None).members
    stack.down(name, tell=lambda told: None)


@pytest.fixture
def hosts(shared_hosts: tuple[Sandbox, ...]) -> Iterator[tuple[Sandbox, ...]]:
    """The shared production of three hosts; what a test broke is mended after it, on each."""
    yield shared_hosts
    stack.restore(shared_hosts[0].group)


@pytest.fixture
def bare(tmp_path: Path) -> Inv:
    """A checkout without a settings file; runs a verb in it."""
    shutil.copy(ROOT / "tasks.py", tmp_path)

    return lambda *words: Ended(*forked.run(words, tmp_path, 300))


@pytest.fixture
def given(tmp_path: Path) -> SettingsFile:
    """Write a settings file; the words that give it to a verb."""

    def write(text: str) -> tuple[str, str]:
        (tmp_path / "given.yaml").write_text(text, encoding="utf-8")
        return "-f", str(tmp_path / "given.yaml")

    return write
