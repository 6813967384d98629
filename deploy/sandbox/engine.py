"""What the sandbox needs of this machine: a Docker engine that answers, Compose v2 and sshd."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from deploy.errors import Failure
from deploy.message import NOTHING, Message, Told, say
from deploy.sandbox import apt
from deploy.sandbox.command import INSTALL, run, tail, works
from deploy.sandbox.home import home
from deploy.sandbox.processes import Process

START_SECONDS = 60.0
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def ensure(install: bool, tools: Mapping[str, str] = MappingProxyType({})) -> None:
    """Make sure that everything is there, `tools` too, and an engine answers.

    `install` is the consent to install what is missing and to start the engine. Where nothing is missing, nothing
    is done and no root is needed. Failure says what is missing and what to do.
    """
    missing = _missing_packages() + [package for tool, package in tools.items() if not find(tool)]
    if missing:
        apt.require(missing, install)
    if _complaint():
        _start(install)
    reason = usable()
    if reason:
        raise Failure(reason, remedy=INSTALL)


def usable() -> Message | None:
    """Return why the sandbox cannot run on this machine; None when it can."""
    missing = _missing_packages()
    if missing:
        return say("not installed: %s", " ".join(missing))
    complaint = _complaint()
    return say("the Docker engine does not answer: %s", complaint) if complaint else None


def find(program: str) -> str | None:
    """Return the path of a program, also of one that only root has on its PATH."""
    return shutil.which(program) or shutil.which(program, path=SBIN)


def stop(tell: Callable[[Told], None]) -> None:
    """Stop the engine if we started it, unless containers run on it."""
    process = _ours()
    if process is None:
        return
    if works("docker", "info") and run("docker", "ps", "--quiet").strip():
        tell(say("the Docker engine goes on: other containers run on it"))
        return
    process.end()
    _record().unlink()
    _log().unlink(missing_ok=True)


def _missing_packages() -> list[str]:
    missing = []
    if not shutil.which("docker") or (_complaint() and not find("dockerd")):
        missing += ["docker.io", "iptables"]
    if not works("docker", "compose", "version"):
        missing.append("docker-compose")
    if not find("sshd") or not shutil.which("ssh-keygen"):
        missing.append("openssh-server")
    return missing


def _complaint() -> Told | None:
    """Return what the client says of an engine that does not answer; None when it answers."""
    try:
        run("docker", "info", "--format", "{{.ServerVersion}}", timeout=30)
    except Failure as failure:
        return failure.evidence[-1] if failure.evidence else failure.fact
    return None


def _start(install: bool) -> None:
    complaint = _complaint() or NOTHING
    if isinstance(complaint, str) and "permission denied" in complaint.lower():
        raise Failure(
            say("this user may not talk to the Docker engine"),
            evidence=(complaint,),
            remedy=say("sudo usermod -aG docker $USER, then log in again"),
        )
    if not install or os.getuid() != 0:
        raise Failure(say("no Docker engine answers"), evidence=(complaint,), remedy=say("as root: %s", INSTALL))
    if Path("/run/systemd/system").is_dir():
        run("systemctl", "start", "docker")
    else:
        _start_by_hand()


def _start_by_hand() -> None:
    """Run dockerd in a session of its own and remember it, so that the last sandbox takes it down."""
    home().mkdir(exist_ok=True)
    with _log().open("a", encoding="utf-8") as log:
        started = subprocess.Popen(
            [find("dockerd") or "dockerd"],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    process = Process.of(started.pid)
    if process:
        _record().write_text(json.dumps(asdict(process)), encoding="utf-8")
    deadline, pause = time.monotonic() + START_SECONDS, 0.2
    while _complaint():
        if started.poll() is not None or time.monotonic() > deadline:
            log_lines = tail(_log().read_text(encoding="utf-8", errors="replace"))
            raise Failure(say("the Docker engine did not start"), evidence=log_lines, remedy=say("see %s", str(_log())))
        time.sleep(pause)
        pause = min(pause * 1.5, 2)


def _ours() -> Process | None:
    """Return the engine that we started, if it still runs."""
    if not _record().exists():
        return None
    process = Process(**json.loads(_record().read_text(encoding="utf-8")))
    if process.alive:
        return process
    _record().unlink()
    _log().unlink(missing_ok=True)
    return None


def _record() -> Path:
    return home() / "engine.json"


def _log() -> Path:
    return home() / "dockerd.log"
