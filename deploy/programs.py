"""How each program that runs the code comes to run the new one: decided from what was read, and shown in the plan.

The gentlest way that works is taken. Workers are rolled: new ones serve before the old ones leave; a uWSGI replaces its
own, one after the other, while the others serve. A master that needs
other settings reads them again. A program that must never run twice hands over: the old worker leaves first. What
Supervisor started it can restart, alone; and where not even that will do, the container is restarted.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from deploy import elsewhere
from deploy.message import NOTHING, Message, Told, say
from deploy.settings import Settings
from deploy.state import Program, State

Way = Literal["roll", "chain", "reload", "handover", "restart", "command", "signal", "container", "leave"]
# The gentlest way first.
GENTLE: tuple[Way, ...] = get_args(Way)
# The part of the free memory that workers may take that boot at once.
MEMORY_SHARE = 0.8


@dataclass(frozen=True)
class Replacement:
    """A program, the way in which it is replaced, and why not in a gentler one; `action` is a command or a signal."""

    program: Program
    way: Way
    because: Told = NOTHING
    action: str = ""


def replacements(settings: Settings, state: State) -> tuple[Replacement, ...]:
    """Decide it for every program, in their order: the app servers, and of these first who goes on serving."""
    ways = (_server(settings, state, one) if one.server else _other(settings, state, one) for one in state.programs)
    return tuple(sorted(ways, key=lambda one: (not one.program.server, GENTLE.index(one.way))))


def obstacle(settings: Settings, state: State) -> Message | None:
    """Say which program only a restart of the container replaces, and why; nothing where there is none."""
    if state.serves and not state.served:
        return say("no %s runs", settings.app.server)
    if not state.programs:
        return say("nothing in it was found to run the code")
    found = (one for one in replacements(settings, state) if one.way == "container")
    return next((say("%s: %s", one.program.name, one.because) for one in found), None)


def stale(settings: Settings, state: State, *, left: bool = False) -> tuple[str, ...]:
    """Name the programs that are older than the code; `left`: those that nothing restarts instead of the others."""
    found = replacements(settings, state)
    return tuple(one.program.name for one in found if not one.program.fresh and (one.way == "leave") == left)


def surge(settings: Settings, state: State, program: Program) -> int:
    """Tell how many workers may boot at once at most: as many as the settings say, or there is memory for."""
    if settings.restart.surge:
        return settings.restart.surge
    rooms = [state.memory.room if state.memory else None, state.app.memory_mib if state.app else None]
    room = min((room for room in rooms if room is not None), default=None)
    worker = state.app.worker_mib if state.app else 0
    if room is None or not worker:
        return max(1, program.workers)
    return max(1, min(program.workers, int(MEMORY_SHARE * room) // worker))


def _server(settings: Settings, state: State, program: Program) -> Replacement:
    single = program.name in settings.restart.single
    if program.problem:
        return _restarted(program, program.problem)
    if program.preload:
        return _restarted(program, say("the app is preloaded, so new workers would run the old code"))
    if reason := _other_settings(settings, state, program):
        return _restarted(program, reason) if single or program.chain else Replacement(program, "reload", reason)
    if program.chain:
        return Replacement(program, "chain")
    return Replacement(program, "handover" if single else "roll")


def _restarted(program: Program, because: Told) -> Replacement:
    return Replacement(program, "restart" if program.supervised else "container", because)


def _other(settings: Settings, state: State, program: Program) -> Replacement:
    told = next((told for name, told in settings.restart.programs.items() if name in program.name), None)
    if told and told.signal:
        return Replacement(program, "signal", action=told.signal)
    if told:
        return Replacement(program, "command", action=told.command)
    if program.supervised:
        return Replacement(program, "restart")
    # Where nobody is served, a restart of the container harms none.
    return (
        Replacement(program, "leave")
        if state.serves
        else Replacement(program, "container", say("it serves no requests"))
    )


def _other_settings(settings: Settings, state: State, program: Program) -> Message | None:
    """Say why a master has to read its settings again; nothing where they stay."""
    name = program.config.rsplit("/", 1)[-1]
    if program.reconfigure:
        return say("%s changed since it started", name)
    inside = program.config.removeprefix(f"{settings.app.path}/")
    source = elsewhere.derived(settings).get(inside, inside)
    changed = {changed for _, changed in state.changes}
    return say("%s changes", name) if source in changed else None
