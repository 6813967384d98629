"""See that the programs of a container that was restarted run again, and that those which serve answer."""

from __future__ import annotations

import time
from io import BufferedReader
from typing import Any

from deploy.inside.message import ExpectedError, say
from deploy.inside.processes import user_of
from deploy.inside.programs import Program, programs
from deploy.inside.replacing import replaced, still
from deploy.inside.rolling import server_of, wait_for

# Seconds that a program has to run for, where nothing else shows that it has booted; and how many boots of the app, as
# the proof has seen one.
STEADY, BOOTS = 2.0, 1.5


def await_programs(settings: dict[str, Any], _: BufferedReader) -> None:
    """Wait for each that was there when the plan was made; ExpectedError says which one does not run again."""
    began = time.monotonic()
    for wanted in settings["programs"]:
        program = wait_for(lambda wanted=wanted: running(settings, wanted), settings["boot_timeout"])
        if not program:
            raise ExpectedError("%s does not run again", wanted["name"])
        if program.server:
            server = server_of(program, settings)
            with user_of(program.process.pid):
                wait_for(lambda server=server: server.workers, settings["boot_timeout"])
                replaced(server, set())
        elif wait_for(lambda program=program: not still(program), max(STEADY, BOOTS * settings.get("boot", 0.0))):
            raise ExpectedError("%s ends as soon as it was started", program.name)
        say("%s runs again after %s s", program.name, f"{time.monotonic() - began:.1f}")


def running(settings: dict[str, Any], wanted: dict[str, Any]) -> Program | None:
    """Find a program of the plan, booted: with processes below it where it had such."""
    found = next((program for program in programs(settings) if program.id == wanted["id"]), None)
    return found if found and (found.server or len(found.pids) >= min(2, wanted["processes"])) else None
