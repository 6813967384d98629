"""Have new processes serve: worker by worker, or by a restart of the service's container."""

from deploy import compose, preflight, shell, words
from deploy.plan import Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables
from deploy.steps import copy, migrate, serving

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
    because = obstacle(settings, state, options)
    restarted = compose.control(settings, state, "restart")
    container = (
        f"{restarted}: {because}" if because else restarted,
        f"wait up to {settings.restart.timeout} s for {serving.check(settings).url}",
        *settings.restart.reload,
    )
    rolling = (
        f"replace the workers of {settings.app.server} one by one, each once a new one answers",
        *(f"have a new one hold {file}" for file in settings.restart.exclusive_files),
        f"if that cannot be done{_likely(settings, state)}: {restarted}",
    )
    rolls = wanted(settings, options) == "rolling" and not because
    script = shell.script(
        "containers.sh",
        "steps/restart.sh",
        **variables(settings),
        **serving.variables(settings, state, before="healthy", rolling=rolls, because=because),
    )
    timeout = settings.restart.timeout + 120 + (serving.roll_timeout(settings) if rolls else 0)
    why = reason(settings, state, options) or "asked for"
    return Step("restart", why, script, timeout, rolling if rolls else container)


def wanted(settings: Settings, options: Options) -> str:
    return options.strategy or settings.restart.strategy


def obstacle(settings: Settings, state: State, options: Options) -> str:
    """Say why the container is restarted although a rolling restart is wanted; nothing where that can be tried.

    What shows only in the container (a preloaded app, a changed config file of the server) is told by inside/rolling.
    """
    if wanted(settings, options) != "rolling":
        return ""
    if not state.answering:
        return "the app does not answer as it should"
    if cramped := preflight.cramped(state):
        return f"{settings.app.container} {cramped}"
    changed = preflight.unsuitable(state)
    return f"{words.names(tuple(changed))} changed" if changed else ""


def _likely(settings: Settings, state: State) -> str:
    """Name the files that are made anew: a server that is configured by one of them has to be started again."""
    changed = {name for _, name in state.changes}
    made = tuple(file for file, source in settings.copy.derived.items() if source in changed)
    return f" (likely, for {words.names(made)} changes)" if made else ""
