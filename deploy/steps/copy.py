"""Make the app's folder in the container equal to the commit."""

import json

from deploy import preflight, shell
from deploy.plan import Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, inside_settings, variables

NEEDS: tuple[str, ...] = (
    "tools",
    "engine",
    "repository",
    "protected paths",
    "filters",
    "disk",
    "app container",
    "env",
    "suitable",
)
TARGET: TargetIs = "head"
TIMEOUT = 600


def reason(settings: Settings, state: State, options: Options) -> str:
    app = state.app
    if app is None or app.record is None:
        return "what runs is unknown"
    if not app.record.complete:
        return "the last copy was not finished"
    if app.record.revision != state.repository.target:
        return f"{app.record.revision[:7]} runs"
    if app.drift or app.differs:
        return f"changed by hand: {preflight.names(app.drift or tuple(sorted(app.differs)))}"
    return ""


def step(settings: Settings, state: State, options: Options, run: str) -> Step:
    recorded = state.app is not None and state.app.record is not None and state.app.record.complete
    overridden = dict.fromkeys((*preflight.overridden(state), *preflight.unsuitable(state)))
    told = inside_settings(settings) | {
        "run": run,
        "revision": state.repository.target,
        "overridden": list(overridden),
    }
    shared = variables(settings) | {"inside_settings": json.dumps(told)}
    script = shell.script(
        "containers.sh",
        "steps/copy.sh",
        **shared,
        revision=state.repository.target,
        run=run,
        recorded=recorded,
    )
    return Step("copy", reason(settings, state, options), script, TIMEOUT, _summary(settings, state, recorded))


def _summary(settings: Settings, state: State, recorded: bool) -> tuple[str, ...]:
    where = f"{settings.app.path} in {settings.app.container} := {state.repository.target[:7]}"
    if not recorded or not state.running:
        return (f"{where}, every file",)
    changes = tuple(f"{status} {name}" for status, name in state.changes)
    return (
        f"{where}, {len(changes)} changed",
        *changes[:10],
        *((f"and {len(changes) - 10} more",) if len(changes) > 10 else ()),
        *((f"put right: {preflight.names(state.app.drift)}",) if state.app and state.app.drift else ()),
    )
