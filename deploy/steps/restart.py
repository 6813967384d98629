"""Have new processes serve: worker by worker, or by a restart of the service's container."""

import re

from deploy import compose, preflight, programs, shell, words
from deploy.message import Message, Printed, Told, Value, counted, say
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
        older = programs.stale(settings, state)
        running = say("older than the code: %s", words.names(older))
        return running if older else say("no %s runs", settings.app.server)
    return None if state.answering or not state.serves else say("the app does not answer as it should")


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    because = obstacle(settings, state, options)
    replaces = wanted(settings, options) == "rolling" and not because
    why = reason(settings, state, options) or ASKED_FOR
    script = shell.script(
        "containers.sh",
        "steps/restart.sh",
        **variables(settings),
        run=run,
        **serving.variables(
            settings, state, before="healthy", replace=replaces, after_copy=why != ASKED_FOR, because=because
        ),
    )
    grace = state.containers["app"].grace or 0
    timeout = grace + settings.restart.timeout + settings.restart.pause + serving.well_timeout(settings, state) + 120
    timeout += serving.replace_timeout(settings, state) if replaces else 0
    restarted = Printed(compose.control(settings, state, "restart"))
    container: tuple[Told, ...] = (
        say("%s: %s", restarted, because) if because else restarted,
        _noticed(state),
        say("wait up to %s s for %s", settings.restart.timeout, _awaited(settings, state)),
        *map(Printed, settings.restart.reload),
    )
    return Step("restart", why, script, timeout, _summary(settings, state, restarted) if replaces else container)


def _awaited(settings: Settings, state: State) -> Value:
    """Say what is waited for after a restart of the container."""
    if serving.answers(settings, state):
        return serving.check(settings).url
    return words.names(tuple(one.name for one in state.programs)) or say("its processes")


def _noticed(state: State) -> Message:
    """Say what users notice of a restart of the container."""
    if not state.serves:
        return _waits(" ".join(one.name for one in state.programs))
    if state.crowded:
        return say("users notice little: the others serve meanwhile, but its requests in flight fail")
    return say("users notice it: requests fail until the app answers again")


def _waits(names: str) -> Message:
    """Say what waits while a container is restarted that serves no requests, by the names of its programs."""
    if re.search(r"\bworker\b", names):
        # docker restart kills what has not ended within the container's stop_grace_period.
        return say("no request fails, but its tasks wait meanwhile; one that outlasts the stop is cut off")
    if re.search(r"\bbeat\b|\bscheduler\b", names):
        return say("no request fails, but what is due meanwhile comes late")
    return say("no request fails, but its work waits meanwhile")


def _summary(settings: Settings, state: State, restarted: Told) -> tuple[Told, ...]:
    return (
        *(_line(settings, state, one) for one in programs.replacements(settings, state)),
        *(say("a new worker holds %s, if an old one does", file) for file in settings.restart.exclusive_files),
        say("if that cannot be done: %s", restarted),
    )


def _line(settings: Settings, state: State, one: programs.Replacement) -> Message:
    """Say how a program is replaced, and why not in a gentler way."""
    name = one.program.name
    match one.way:
        case "roll":
            surge = programs.surge(settings, state, one.program)
            workers = counted(one.program.workers, "%s worker", "%s workers")
            if surge > 1:
                return say(
                    "%s: replace %s, up to %s at once, each once a new one answers; users should notice nothing",
                    name,
                    workers,
                    surge,
                )
            return say("%s: replace %s, each once a new one answers; users should notice nothing", name, workers)
        case "chain":
            workers = counted(one.program.workers, "%s worker", "%s workers")
            return say("%s: replaces its %s itself, one after the other; users should notice nothing", name, workers)
        case "reload":
            return say("%s: has to read its settings again, since %s; requests wait meanwhile", name, one.because)
        case "handover":
            return say("%s: its worker leaves before the next one starts; requests wait meanwhile", name)
        case "command" | "signal":
            return say("%s: %s; what users notice of that cannot be told", name, one.action)
        case "leave":
            return say("%s: runs on with the old code, since nothing restarts it", name)
        case "restart" if one.program.server:
            return say("%s: restarted by Supervisor, since %s; its requests fail meanwhile", name, one.because)
        case _:
            return say("%s: restarted by Supervisor; its work waits meanwhile", name)


def wanted(settings: Settings, options: Options) -> str:
    return options.strategy or settings.restart.strategy


def obstacle(settings: Settings, state: State, options: Options) -> Message | None:
    """Say why the container is restarted although gentler ways are wanted; nothing where they can be tried."""
    if wanted(settings, options) != "rolling":
        return None
    if not state.answering and state.serves:
        return say("the app does not answer as it should")
    if cramped := preflight.cramped(settings, state):
        return cramped
    if changed := preflight.unsuitable(settings, state):
        return say("%s changed", words.names(tuple(changed)))
    return programs.obstacle(settings, state)
