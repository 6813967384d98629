"""What restart.sh has to know to have the app serve with new processes."""

import json
from typing import Literal

from deploy import compose, preflight, programs
from deploy.message import Message, pack
from deploy.settings import Check, Settings
from deploy.shell import Variable
from deploy.state import State, inside_settings


def variables(
    settings: Settings,
    state: State,
    *,
    before: Literal["healthy", "ill"],
    replace: bool = False,
    after_copy: bool = False,
    because: Message | None = None,
) -> dict[str, Variable]:
    """Name them as the script does; an app that was `ill` before an update that is undone need not answer again.

    `replace`: each program is replaced in its own way, `after_copy` but for those that were started since. Otherwise
    the container is restarted, `because` of what is told.
    """
    asked, restart = check(settings), settings.restart
    told = inside_settings(settings) | {
        "paths": list(asked.paths),
        "exclusive": list(restart.exclusive_files),
        "boot_timeout": restart.timeout,
        "drain_timeout": restart.drain_timeout,
        "after_copy": after_copy,
        "serves": state.serves,
        "programs": [_told(settings, state, one) for one in programs.replacements(settings, state)],
    }
    return {
        "compose": compose.of_app(state),
        "replacing": json.dumps(told) if replace else "",
        "because": pack(because) if because else "",
        "replace_timeout": replace_timeout(settings, state),
        "answers": answers(settings, state),
        "answers_host": asked.host,
        "answers_inside": asked.inside,
        "alone": not state.crowded,
        "pause": restart.pause if state.crowded and state.serves else 0,
        "well_timeout": well_timeout(settings, state),
        "awaiting": json.dumps(told),
        "restart_timeout": restart.timeout,
        "server": settings.app.server,
        "servers": max(1, sum(one.server for one in state.programs)),
        "reload": tuple(restart.reload),
        "before": before,
        "killed_before": state.kills,
    }


def returning(settings: Settings, state: State) -> dict[str, Variable]:
    """Name them for an undo: the old processes serve again, each replaced in its own way where that can be."""
    gentle = settings.restart.strategy == "rolling" and state.answering
    return variables(
        settings,
        state,
        before="healthy" if state.answering else "ill",
        replace=gentle and not preflight.cramped(settings, state) and not programs.obstacle(settings, state),
    )


def answers(settings: Settings, state: State) -> tuple[str, ...]:
    """What an app is asked that was restarted; nothing where somebody else may answer."""
    asked = check(settings)
    alone = state.first and not state.crowded
    by_itself = asked.inside and (state.first or state.replica)
    return tuple(asked.url + path for path in asked.paths) if alone or by_itself else ()


def well_timeout(settings: Settings, state: State) -> int:
    """How long one of several may take to be well again, in seconds, while the others serve; 0: it is not asked."""
    return settings.health.timeout if state.crowded and state.answering and answers(settings, state) else 0


def _told(settings: Settings, state: State, one: programs.Replacement) -> dict[str, object]:
    """Say of one program what the program in the container has to know of it."""
    most, forced = programs.surge(settings, state, one.program), bool(settings.restart.surge)
    known = {"id": one.program.id, "name": one.program.name, "processes": one.program.processes}
    return {**known, "way": one.way, "action": one.action, "surge": most, "forced": forced}


def replace_timeout(settings: Settings, state: State) -> int:
    """How long all the programs together may take to be replaced, in seconds."""
    turns = sum(max(1, one.workers) if one.chain else 1 for one in state.programs)
    return (2 + max(1, turns)) * (settings.restart.timeout + settings.restart.drain_timeout)


def check(settings: Settings) -> Check:
    """Find the check that tells that the app itself answers."""
    return next(one for one in settings.health.checks if one.name == settings.restart.check)
