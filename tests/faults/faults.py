"""What befalls a run that is held at a point: each fault a small function, the columns of the matrix."""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import Exit, Failure
from deploy.sandbox import compose, processes, sshd, stack
from deploy.sandbox.command import run
from deploy.sandbox.home import Sandbox
from tests.faults import production
from tests.faults.engine import Engine
from tests.faults.points import Moment
from tests.sandbox.conftest import run_inv, without_times
from tests.sandbox.facts import holder

ENGINE_RESTARTED = "engine-restarted"
OLD_BOOT = "00000000-0000-0000-0000-000000000000"


@dataclass
class Scene:
    """A run that is held at a point, and who watches it. `was` is production before it."""

    sandbox: Sandbox
    laptop: subprocess.Popen[str]
    was: production.Before
    engine: Engine | None


@dataclass(frozen=True)
class Fault:
    """A fault; it strikes `before`, `amid` or `after` the decisive command of the step that it meets.

    `fail`: it is no act of anybody, but the step's own command fails. `victim`: it may leave a service or the disk in a
    state that only an operator mends.
    """

    strike: Callable[[Scene], None]
    moment: Moment = "after"
    fail: bool = False
    victim: bool = False


def nothing(scene: Scene) -> None:
    """The step fails by itself."""


def cut_connection(scene: Scene) -> None:
    cut(scene.sandbox)


def cut(sandbox: Sandbox) -> None:
    """Kill sshd's sessions. The harness descends from one of them, and is to stay."""
    listener = sshd.process(sandbox)
    assert listener
    sessions = [process for process in processes.below(listener) if _program(process.pid).startswith("sshd")]
    assert sessions, "nobody is connected"
    for session in sessions:
        os.kill(session.pid, signal.SIGKILL)


def kill_laptop(scene: Scene) -> None:
    scene.laptop.kill()


def press_ctrl_c(scene: Scene) -> None:
    scene.laptop.send_signal(signal.SIGINT)
    _wait_for_line(scene, "interrupted: undone after the running step")


def press_ctrl_c_twice(scene: Scene) -> None:
    press_ctrl_c(scene)
    scene.laptop.send_signal(signal.SIGINT)
    assert scene.laptop.wait(timeout=30) == Exit.INTERRUPTED, "the second Ctrl-C does not detach"


def kill_harness(scene: Scene) -> None:
    found = re.search(r"^pid\t(\d+)$", holder(scene.sandbox), re.MULTILINE)
    assert found, "nobody holds the lock"
    os.kill(int(found[1]), signal.SIGKILL)


def restart_engine(scene: Scene) -> None:
    assert scene.engine, "only an engine of the matrix's own may be restarted"
    scene.engine.restart()


def kill_app(scene: Scene) -> None:
    run("docker", "kill", scene.sandbox.app)


def recreate_app(scene: Scene) -> None:
    """Recreate the app's container; what customers left in the old one is lost with it, which is nobody's update."""
    stack.break_(scene.sandbox.name, "recreated")
    scene.was = production.without_customer_files(scene.sandbox, scene.was)


def stop_postgres(scene: Scene) -> None:
    run("docker", "stop", scene.sandbox.database)


def fill_disk(scene: Scene) -> None:
    stack.break_(scene.sandbox.name, "disk-full")


def start_second_update(scene: Scene) -> None:
    ended = run_inv(scene.sandbox.name, "hot-update", "--yes")
    assert ended.code == Exit.LOCKED, f"a second update ended with {ended.code}: {ended.text}"


def reboot_host(scene: Scene) -> None:
    reboot(scene.sandbox, compose.everything(scene.sandbox))


def reboot(sandbox: Sandbox, containers: Sequence[str]) -> None:
    """End every process of the host, and start again what a host starts; the lock is of an earlier boot then."""
    listener = sshd.process(sandbox)
    assert listener
    ours = {listener, *processes.below(listener), *processes.of_host(sandbox.host, sandbox.ssh_port)}
    # All at once: nobody is to see the end of another.
    for order in (signal.SIGSTOP, signal.SIGKILL):
        for process in ours:
            with suppress(ProcessLookupError):
                os.kill(process.pid, order)
    run("docker", "kill", *containers)
    file = sandbox.path / ".git/hot-update/holder"
    file.write_text(re.sub(r"^boot\t.*$", f"boot\t{OLD_BOOT}", file.read_text(), flags=re.MULTILINE))
    # What keeps the data first.
    run("docker", "start", *(store for store in sandbox.stores if store in containers))
    run("docker", "start", *containers)
    # Between two steps it may be that an app does not start: who finishes the run has it do so.
    with suppress(Failure):
        compose.wait_until_healthy(sandbox, seconds=30)
    sshd.start(sandbox)


FAULTS = {
    "step-fails": Fault(nothing, fail=True),
    "connection-cut": Fault(cut_connection),
    "laptop-killed": Fault(kill_laptop),
    "ctrl-c": Fault(press_ctrl_c),
    "ctrl-c-twice": Fault(press_ctrl_c_twice),
    "harness-killed": Fault(kill_harness),
    "second-update": Fault(start_second_update),
    "app-killed": Fault(kill_app, moment="amid", victim=True),
    "app-recreated": Fault(recreate_app, moment="amid", victim=True),
    "postgres-stopped": Fault(stop_postgres, moment="amid", victim=True),
    "disk-full": Fault(fill_disk, moment="before", victim=True),
    "host-rebooted": Fault(reboot_host),
    ENGINE_RESTARTED: Fault(restart_engine, moment="amid", victim=True),
}


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8")
    except OSError:
        # It ended meanwhile.
        return ""


def _wait_for_line(scene: Scene, beginning: str) -> None:
    assert scene.laptop.stdout
    for line in scene.laptop.stdout:
        if without_times(line).startswith(beginning):
            return
    raise AssertionError(f"the laptop never said {beginning!r}")
