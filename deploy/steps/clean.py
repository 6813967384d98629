"""Remove bytecode and caches in the container."""

import json

from deploy import mounted, shell
from deploy.message import Message, Value, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, inside_settings, variables
from deploy.steps import copy

NEEDS: tuple[str, ...] = ("tools", "engine", "app container")
TARGET: TargetIs = "running"
TIMEOUT = 120


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    if mounted.is_mounted(settings, state) and not settings.clean.caches:
        return None
    return say("the code changes") if copy.reason(settings, state, options) else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    shared = variables(settings)
    places: tuple[Value, ...] = tuple(settings.clean.caches)
    if mounted.is_mounted(settings, state):
        shared["inside_settings"] = json.dumps(inside_settings(settings) | {"mounted": True})
    else:
        places = (say("__pycache__ and *.pyc below %s", settings.app.path), *places)
    script = shell.script("containers.sh", "ready.sh", "steps/clean.sh", **shared, run=run)
    why = reason(settings, state, options) or ASKED_FOR
    return Step("clean", why, script, TIMEOUT, (say("empty %s", places),))
