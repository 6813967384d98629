"""Restart the service's container and wait until the app itself answers."""

from deploy import shell
from deploy.plan import Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables
from deploy.steps import copy, migrate, wait

NEEDS: tuple[str, ...] = ("tools", "engine", "compose", "app container")
TARGET: TargetIs = "running"


def reason(settings: Settings, state: State, options: Options) -> str:
    if copy.reason(settings, state, options):
        return "the code changes"
    if migrate.reason(settings, state, options):
        return "the database changes"
    if not state.fresh:
        return f"a process of {settings.app.server} is older than the code"
    return "" if state.answering else "the app does not answer as it should"


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    waiting = wait.variables(settings, before="healthy")
    script = shell.script("containers.sh", "steps/restart.sh", **variables(settings), **waiting)
    summary = (
        f"docker compose -f {settings.compose.file} restart {settings.app.service}",
        f"wait up to {settings.restart.timeout} s for {wait.check(settings).url}",
        *settings.restart.reload,
    )
    return Step(
        "restart", reason(settings, state, options) or "asked for", script, settings.restart.timeout + 120, summary
    )
