"""A second Docker engine, beside the one that everything else runs on: one that may be restarted."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from deploy.errors import Failure
from deploy.message import say
from deploy.sandbox import images
from deploy.sandbox.command import run, tail, works
from deploy.sandbox.engine import find
from deploy.sandbox.processes import Process, below
from deploy.sandbox.shape import Shape

# Of this process alone, and away from the addresses that the first engine gives out.
BRIDGE = f"whalefall{os.getpid() % 100_000}"
BRIDGE_ADDRESS, POOL = f"10.213.{os.getpid() % 250}.1/24", f"10.{214 + os.getpid() % 30}.0.0/16"
# An engine that keeps rules itself removes those of the first one when it starts.
RULE = ("FORWARD", "--source", POOL, "--destination", POOL, "--jump", "ACCEPT")
# The first engine's own; one that starts beside it was seen to remove it, and nothing can be built without it.
DEFAULT_BRIDGE = "docker0"
START_SECONDS = 60.0


@dataclass
class Engine:
    """An engine of our own, with everything of it below `root`."""

    root: Path
    # The address of the first engine's own bridge; nothing where it has none.
    first: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.root}/docker.sock"

    def start(self) -> None:
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    find("dockerd") or "dockerd", "--host", self.url, "--data-root", self.root / "data",
                    "--exec-root", self.root / "exec", "--pidfile", self.root / "pid",
                    "--bridge", BRIDGE, "--default-address-pool", f"base={POOL},size=24", "--iptables=false",
                ],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not works("docker", "--host", self.url, "version"):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failure(say("the second engine did not start"), evidence=tail((self.root / "log").read_text()))
            time.sleep(0.2)
        _bring_back(DEFAULT_BRIDGE, self.first)

    def stop(self) -> None:
        if self.process is None:
            return
        own = Process.of(self.process.pid)
        helpers = below(own) if own else []
        self.process.terminate()
        self.process.wait(timeout=60)
        for helper in helpers:
            helper.end()

    def restart(self) -> None:
        """End it and start it again; the containers that it had stop meanwhile."""
        self.stop()
        self.start()


def second(shape: Shape) -> AbstractContextManager[Engine]:
    """Start a second engine that has the images of the first which a shape needs."""
    return second_with(*images.dependencies((shape.base, *shape.others), False, lambda text: None).values())


@contextmanager
def second_with(*tags: str) -> Iterator[Engine]:
    """Start a second engine that has these images of the first; every docker of this process asks it meanwhile."""
    own = Engine(Path(tempfile.mkdtemp(prefix="whalefall-engine-")), _address(DEFAULT_BRIDGE))
    run("ip", "link", "add", "name", BRIDGE, "type", "bridge")
    try:
        run("ip", "address", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        run(_iptables(), "--insert", *RULE)
        own.start()
        _bring_images(own, tags)
        with patch.dict(os.environ, {"DOCKER_HOST": own.url}):
            yield own
    finally:
        own.stop()
        works(_iptables(), "--delete", *RULE)
        run("ip", "link", "delete", BRIDGE)
        shutil.rmtree(own.root, ignore_errors=True)


def _address(bridge: str) -> str:
    """Give the address of a bridge with its prefix; nothing where there is no such bridge."""
    found = run("ip", "-o", "-4", "address", "show").splitlines()
    return next((words[3] for words in map(str.split, found) if words[1] == bridge), "")


def _bring_back(bridge: str, address: str) -> None:
    if not address or _address(bridge):
        return
    works("ip", "link", "add", "name", bridge, "type", "bridge")
    run("ip", "address", "add", address, "dev", bridge)
    run("ip", "link", "set", bridge, "up")


def _iptables() -> str:
    return find("iptables") or "iptables"


def _bring_images(own: Engine, tags: tuple[str, ...]) -> None:
    with subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE) as saved:
        subprocess.run(["docker", "--host", own.url, "load", "--quiet"], stdin=saved.stdout, check=True)
