"""Have each program run the new code, as the plan says of it; where that fails, Supervisor restarts it alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import BufferedReader
from typing import Any

from deploy.inside.message import ExpectedError, say
from deploy.inside.processes import Process, all_processes, user_of
from deploy.inside.programs import SUPERVISOR, Program, programs, supervisor_of, surroundings
from deploy.inside.record import read_record, uptime
from deploy.inside.rolling import (
    COMPUTES,
    HEED,
    Server,
    demand_of,
    exclusively_held,
    expect,
    hand_on,
    roll,
    server_of,
    wait_for,
)
from deploy.inside.rolls import remember, settings_asked, settings_known
from deploy.inside.survey import fresh_ones
from deploy.inside.uwsgi import ask_chain, chain_settings
from deploy.inside.wire import one_line
from deploy.inside.workers import PAUSE, configured, listened, polls

# What is left to do of a replacement while others go on; and how a program is replaced.
Rest = Callable[[], None]
Way = Callable[[Program, dict[str, Any], dict[str, Any]], Rest | None]
# Seconds after which uWSGI is asked again: its chain passes over a worker that still loads the app, and ends
# without it. While a chain goes on, being asked does nothing.
ASK_AGAIN = 3.0


def replace(settings: dict[str, Any], _: BufferedReader) -> None:
    """Go through the plan's programs; ExpectedError says which one only a restart of the container can replace."""
    # Who is ended lets go of whom it holds.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    found = {program.id: program for program in programs(settings)}
    if settings["serves"] and not any(program.server for program in found.values()):
        raise ExpectedError("no %s runs", settings["server"])
    # In an undo and where it is asked for, all are replaced, however young.
    fresh = fresh_ones(settings, read_record(settings)[0], list(found.values())) if settings["after_copy"] else set()
    awaited: list[tuple[Program, dict[str, Any], Rest]] = []
    # What is handed over boots while others are replaced.
    for wanted in sorted(settings["programs"], key=lambda one: one["way"] != "handover"):
        program = found.pop(wanted["id"], None)
        if program is None:
            say("%s does not run, so there is nothing to replace", wanted["name"])
        elif program.id in fresh:
            say("%s was started after the copy", program.name)
        elif rest := carry_out(program, wanted, settings):
            awaited.append((program, wanted, rest))
    for program in found.values():
        if program.supervised and program.id not in fresh:
            say("%s was not there when the plan was made", program.name)
            carry_out(program, {"way": "restart"}, settings)
    for program, wanted, rest in awaited:
        carry_out(program, wanted, settings, rest)


def carry_out(
    program: Program, wanted: dict[str, Any], settings: dict[str, Any], rest: Rest | None = None
) -> Rest | None:
    """Replace a program, or do the `rest` of that; what is left to do once others are replaced.

    Of an app server ExpectedError says that only a restart of the container is left.
    """
    say("%s", program.name)
    if wanted["way"] == "leave":
        return None
    try:
        try:
            return rest() if rest else WAYS[wanted["way"]](program, wanted, settings)
        except (ExpectedError, OSError) as error:
            if wanted["way"] == "restart" or not program.supervised:
                raise
            say("%s is restarted by Supervisor: %s", program.name, one_line(error))
            restart(program, wanted, settings)
    except (ExpectedError, OSError) as error:
        if program.server:
            raise
        say("not replaced: %s", one_line(error))
    return None


def reload(program: Program, wanted: dict[str, Any], settings: dict[str, Any]) -> None:
    """Have a master read its settings again: it starts as many workers as they say, and the old ones leave."""
    server, began = server_of(program, settings), uptime()
    old = server.workers
    with user_of(program.process.pid):
        held = exclusively_held(old, settings)
    os.kill(program.process.pid, signal.SIGHUP)
    with user_of(program.process.pid):
        wait_for(lambda: server.workers - old, HEED)
        replaced(server, old)
        hand_on(server, held)
    told = configured(program.process, server.name)
    found = {"workers": int(told["workers"]), "asked": settings_asked(told)}
    remember(settings, program.process, programs(settings), at=began, ended=uptime(), reloaded=began, **found)


def hand_over(program: Program, wanted: dict[str, Any], settings: dict[str, Any]) -> Rest | None:
    """Have one worker leave after the other: the master starts the next only then, and who connects waits meanwhile.

    Where boots wait, the only worker's successor boots while other programs are replaced.
    """
    server, began = server_of(program, settings), uptime()
    demand = demand_of(program, settings)
    asked = settings_asked(settings_known(settings, program.process) or configured(program.process, server.name))
    with user_of(program.process.pid):
        old = server.workers

    def succeed() -> None:
        with user_of(program.process.pid):
            replaced(server, set(), left)
        remember(settings, program.process, programs(settings), workers=1, at=began, ended=uptime(), asked=asked)

    for pid in sorted(old):
        with user_of(program.process.pid):
            leave(server, pid)
            left = time.monotonic()
            wait_for(lambda: server.workers - old, HEED)
            if len(old) == 1 and demand is not None and demand < COMPUTES:
                return succeed
            replaced(server, old - {pid} if len(old) > 1 else set())
    count = max(len(old), 1)
    remember(settings, program.process, programs(settings), workers=count, at=began, ended=uptime(), asked=asked)
    return None


def chain(program: Program, wanted: dict[str, Any], settings: dict[str, Any]) -> None:
    """Have uWSGI replace its workers itself; what it does not replace, as its HTTP router, loads no app."""
    server, began = server_of(program, settings), uptime()
    with user_of(program.process.pid):
        old, listens = server.workers, listened(program.process)
    count = min(chain_settings(program.process)["workers"], len(old))
    serving, deadline, asked = set[int](), count * (server.boot + server.drain), 0.0
    while True:
        with user_of(program.process.pid):
            there = server.workers
            polling = {pid for pid in there if polls(pid, listens)}
            for pid in polling - old - serving:
                say("worker %s serves after %s s", pid, f"{uptime() - began:.1f}")
                serving.add(pid)
        if len(serving & there) >= count:
            break
        if uptime() - began > deadline:
            raise ExpectedError("the workers were not replaced, %s s after that began", f"{deadline:.0f}")
        late = uptime() - (asked or began) > ASK_AGAIN
        # While one of them loads the app, those that do not would be replaced again and again.
        due = (late or not asked) if len(polling) >= count else (late and not asked)
        if due and len(there - old) < count:
            ask_chain(program.process)
            asked = uptime()
        time.sleep(PAUSE)
    apart = sorted(old & there)
    remember(settings, program.process, programs(settings), workers=count, at=began, ended=uptime(), apart=apart)


def leave(server: Server, pid: int) -> None:
    """Have a worker finish what it is at, and leave."""
    os.kill(pid, signal.SIGTERM)
    asked = time.monotonic()
    if not wait_for(lambda: not os.path.exists(f"/proc/{pid}"), server.drain):
        raise ExpectedError(
            "the old worker still has requests in flight, %s s after it was to leave", f"{server.drain:.0f}"
        )
    say("worker %s left after %s s", pid, f"{time.monotonic() - asked:.1f}")


def replaced(server: Server, old: set[int], since: float | None = None) -> None:
    """Wait until the old workers have left and every other one answers; `since` when these boot, if not from now on."""
    began, met = time.monotonic(), set[int]()
    while (there := server.workers - met) or not met:
        if time.monotonic() - began > server.boot + server.drain:
            raise ExpectedError(
                "the workers were not replaced, %s s after that began", f"{server.boot + server.drain:.0f}"
            )
        if new := there - old:
            expect(server, dict.fromkeys(new, since or began))
            met |= new
        elif there or not met:
            time.sleep(0.05)


def restart(program: Program, _: dict[str, Any], settings: dict[str, Any]) -> None:
    """Have Supervisor restart it, by the program and the settings that it was started with itself."""
    supervisor = supervisor_of(program.process, all_processes())
    if not program.supervised or supervisor is None:
        raise ExpectedError("%s was started by nothing that could restart it", program.name)
    began = time.monotonic()
    words = [*control_of(supervisor), b"restart", program.supervised.encode()]
    ended = run(words, program, settings, supervisor.pid)
    others = (one for one in programs(settings) if one.process.pid != program.process.pid)
    new = next((one for one in others if one.id == program.id), None)
    if new is None:
        raise ExpectedError("%s did not start again: %s", program.name, ended)
    if new.server:
        server = server_of(new, settings)
        with user_of(new.process.pid):
            wait_for(lambda: server.workers, settings["boot_timeout"])
            replaced(server, set())
    say("%s was restarted in %s s", program.name, f"{time.monotonic() - began:.1f}")


def control_of(supervisor: Process) -> list[bytes]:
    """The command that speaks to a Supervisor: what lies beside it, with the same settings."""
    words = supervisor.argv
    at = next(at for at, word in enumerate(words) if os.path.basename(word) == SUPERVISOR)
    options = [place for place in range(at, len(words) - 1) if words[place] in (b"-c", b"--configuration")]
    settings = [word for place in options for word in words[place : place + 2]]
    return [*words[:at], os.path.join(os.path.dirname(words[at]), b"supervisorctl"), *settings]


def command(program: Program, wanted: dict[str, Any], settings: dict[str, Any]) -> None:
    """Run what the settings say, and see that all its processes are others then."""
    run([b"sh", b"-c", wanted["action"].encode()], program, settings, program.process.pid)
    if not wait_for(lambda: not still(program), settings["boot_timeout"]):
        raise ExpectedError("%s runs on after: %s", program.name, wanted["action"])
    say("%s was restarted", program.name)


def send(program: Program, wanted: dict[str, Any], settings: dict[str, Any]) -> None:
    """Send the signal that the settings say: it is another process then, or at least those below it are others."""
    os.kill(program.process.pid, getattr(signal, "SIG" + wanted["action"]))
    below = set(program.pids) - {program.process.pid}

    def gone() -> bool:
        return not still(program) or (bool(below) and not any(os.path.exists(f"/proc/{pid}") for pid in below))

    if not wait_for(gone, settings["boot_timeout"]):
        raise ExpectedError("%s runs on after the signal %s", program.name, wanted["action"])
    remember(settings, program.process, programs(settings), workers=1, at=uptime(), ended=uptime())
    say("%s was restarted", program.name)


def still(program: Program) -> bool:
    found = all_processes().get(program.process.pid)
    return found is not None and found.started == program.process.started


def run(words: list[bytes], program: Program, settings: dict[str, Any], pid: int) -> str:
    """Run a program in the surroundings of a process, without our mark; its last line."""
    try:
        ended = subprocess.run(
            words, cwd=settings["app"], env=surroundings(pid) or None, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=settings["boot_timeout"] + settings["drain_timeout"], check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ExpectedError("%s did not end in time: %s", os.path.basename(words[0]).decode(), program.name) from None
    lines = ended.stdout.decode("utf-8", "replace").strip().splitlines()
    if ended.returncode:
        why = lines[-1] if lines else str(ended.returncode)
        raise ExpectedError("%s could not be restarted: %s", program.name, why)
    return lines[-1] if lines else ""


WAYS: dict[str, Way] = {
    "roll": roll,
    "reload": reload,
    "handover": hand_over,
    "chain": chain,
    "restart": restart,
    "command": command,
    "signal": send,
}
