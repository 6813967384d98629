"""Have new processes serve: worker by worker, or by a restart of the service's container."""

from deploy import compose, preflight, shell, words
from deploy.message import Message, Printed, Told, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables
from deploy.steps import copy, migrate, serving

NEEDS: tuple[str, ...] = ("tools", "engine", "compose", "app container")
TARGET: TargetIs = "running"


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    if copy.reason(settings, state, options):
        return say("the code changes")
    if migrate.reason(settings, state, options):
        return say("the database changes")
    if not state.fresh:
        return say("a process of %s is older than the code", settings.app.server)
    return None if state.answering else say("the app does not answer as it should")


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    because = obstacle(settings, state, options)
    restarted = Printed(compose.control(settings, state, "restart"))
    container: tuple[Told, ...] = (
        say("%s: %s", restarted, because) if because else restarted,
        say("wait up to %s s for %s", settings.restart.timeout, serving.check(settings).url),
        *map(Printed, settings.restart.reload),
    )
    rolling = (
        say("replace the workers of %s one by one, each once a new one answers", settings.app.server),
        *(say("have a new one hold %s", file) for file in settings.restart.exclusive_files),
        _otherwise(settings, state, restarted),
    )
    rolls = wanted(settings, options) == "rolling" and not because
    script = shell.script(
        "containers.sh",
        "steps/restart.sh",
        **variables(settings),
        **serving.variables(settings, state, before="healthy", rolling=rolls, because=because),
    )
    timeout = settings.restart.timeout + 120 + (serving.roll_timeout(settings) if rolls else 0)
    why = reason(settings, state, options) or ASKED_FOR
    return Step("restart", why, script, timeout, rolling if rolls else container)


def wanted(settings: Settings, options: Options) -> str:
    return options.strategy or settings.restart.strategy


def obstacle(settings: Settings, state: State, options: Options) -> Message | None:
    """Say why the container is restarted although a rolling restart is wanted; nothing where that can be tried.

    What shows only in the container (a preloaded app, a changed config file of the server) is told by inside/rolling.
    """
    if wanted(settings, options) != "rolling":
        return None
    if not state.answering:
        return say("the app does not answer as it should")
    if cramped := preflight.cramped(settings, state):
        return cramped
    changed = preflight.unsuitable(state)
    return say("%s changed", words.names(tuple(changed))) if changed else None


def _otherwise(settings: Settings, state: State, restarted: Told) -> Message:
    """Name the files that are made anew: a server that is configured by one of them has to be started again."""
    changed = {name for _, name in state.changes}
    made = tuple(file for file, source in settings.copy.derived.items() if source in changed)
    if not made:
        return say("if that cannot be done: %s", restarted)
    return say("if that cannot be done (likely, for %s changes): %s", words.names(made), restarted)
