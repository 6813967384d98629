"""Remove bytecode and caches in the container."""

from deploy import shell
from deploy.message import Message, Value, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables
from deploy.steps import copy

NEEDS: tuple[str, ...] = ("tools", "engine", "app container")
TARGET: TargetIs = "running"
TIMEOUT = 120


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    return say("the code changes") if copy.reason(settings, state, options) else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    script = shell.script("containers.sh", "steps/clean.sh", **variables(settings))
    places: tuple[Value, ...] = (say("__pycache__ and *.pyc below %s", settings.app.path), *settings.clean.caches)
    why = reason(settings, state, options) or ASKED_FOR
    return Step("clean", why, script, TIMEOUT, (say("empty %s", places),))
