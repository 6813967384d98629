"""Remove bytecode and caches in the container."""

from deploy import shell
from deploy.plan import Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables
from deploy.steps import copy

NEEDS: tuple[str, ...] = ("tools", "engine", "app container")
TARGET: TargetIs = "running"
TIMEOUT = 120


def reason(settings: Settings, state: State, options: Options) -> str:
    return "the code changes" if copy.reason(settings, state, options) else ""


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    script = shell.script("containers.sh", "steps/clean.sh", **variables(settings))
    places = ", ".join(("__pycache__ and *.pyc below " + settings.app.path, *settings.clean.caches))
    return Step("clean", reason(settings, state, options) or "asked for", script, TIMEOUT, (f"empty {places}",))
