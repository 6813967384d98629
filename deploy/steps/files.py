"""Bring tracked files to their places elsewhere in the container, such as Supervisor's settings and the Nginx site."""

import json

from deploy import elsewhere, shell, words
from deploy.message import Message, Printed, Told, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, inside_settings, variables

NEEDS: tuple[str, ...] = ("tools", "engine", "app container")
TARGET: TargetIs = "head"
TIMEOUT = 300


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    wanted = _wanted(settings, state, options)
    return say("changed: %s", words.names(tuple(one.name for one in wanted))) if wanted else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    wanted = _wanted(settings, state, options)
    told = inside_settings(settings) | {
        "run": run,
        "names": [one.name for one in wanted],
        "digits": len(state.repository.target),
    }
    shared = {
        **variables(settings),
        "install_settings": json.dumps(told),
        "container_id": state.containers["app"].id,
        "run": run,
        "edited": tuple(one.found.place for one in wanted if one.found.edited),
    }
    script = shell.script("containers.sh", "steps/files.sh", **shared)
    undo = shell.script("containers.sh", "steps/files.undo.sh", **shared)
    summary = tuple(line for one in wanted for line in _lines(one))
    why = reason(settings, state, options) or ASKED_FOR
    return Step("files", why, script, TIMEOUT, summary, undo=undo)


def _wanted(settings: Settings, state: State, options: Options) -> tuple[elsewhere.Change, ...]:
    return tuple(one for one in elsewhere.changes(settings, state, options) if not one.because)


def _lines(one: elsewhere.Change) -> tuple[Told, ...]:
    found = one.found
    return (
        say("%s := %s", found.place, one.file.source),
        *map(Printed, filter(None, (one.file.check, one.file.apply))),
        *(say("start %s", name) for name in found.came),
        *(say("restart %s", name) for name in found.changed),
        *(say("stop %s", name) for name in found.went),
    )
