"""Judge what the health checks answered, what runs, and how old its processes are; end what a run left behind."""

from __future__ import annotations

import base64
import functools
import json
import os
import signal
import time
from io import BufferedReader
from typing import Any

from deploy.inside.message import ExpectedError, counted, message, say
from deploy.inside.processes import marked
from deploy.inside.programs import programs
from deploy.inside.record import read_record
from deploy.inside.survey import fresh_ones

# Seconds that a process gets to end by itself.
GRACE = 5.0


def prove(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Raise what shows that the revision does not serve, or not healthily; without a revision only health counts."""
    problems = [] if not settings["revision"] else wrong(settings)
    for line in stream:
        name, status, body = line.decode("ascii", "replace").rstrip("\n").split("\t")
        problem = ill(status, base64.b64decode(body), settings["expect"].get(name, {}))
        problems += [message("%s: %s", name, problem)] if problem else []
    if problems:
        raise ExpectedError("%s", functools.reduce(lambda first, more: message("%s; %s", first, more), problems))


def wrong(settings: dict[str, Any]) -> list[str]:
    record, _ = read_record(settings)
    if record is None or not record.complete or record.facts["revision"] != settings["revision"]:
        return [message("the container does not run %s", settings["revision"][:7])]
    found = programs(settings)
    problems = []
    there = {program.id for program in found}
    problems += [
        message("%s does not run any more", name) for known, name in settings["wanted"].items() if known not in there
    ]
    if settings["serves"] and not any(program.server for program in found):
        problems.append(message("no %s runs", settings["server"]))
    fresh = fresh_ones(settings, record, found)
    for program in found:
        if program.id not in fresh and program.id not in settings["left"]:
            problems.append(message("older than the code: %s", program.name))
    return problems


def ill(status: str, body: bytes, expect: dict[str, Any]) -> str:
    """Say what is wrong with an answer: its status, or the first value by dotted path that is not as expected."""
    if not status.startswith("2"):
        return message("no answer") if status == "000" else message("answered %s", status)
    try:
        answer = json.loads(body) if expect else None
    except ValueError:
        return message("not JSON")
    for path, wanted in expect.items():
        found = answer
        for key in path.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
            return message("%s is not %s", path, repr(wanted))
    return ""


def settle(settings: dict[str, Any], _: BufferedReader) -> None:
    """End the processes of a run in this container, and wait until they are gone."""
    mark = f"HOT_UPDATE_RUN={settings['run']}".encode()
    left = marked(mark)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + GRACE
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not marked(mark):
            break
    if marked(mark):
        many = counted(len(marked(mark)), "%s process", "%s processes")
        raise ExpectedError("%s of the run cannot be ended", many)
    if left:
        say("%s of the run ended", counted(len(left), "%s process", "%s processes"))
