"""What restart.sh has to know to have the app serve with new processes."""

import json
from typing import Literal

from deploy import compose
from deploy.message import Message
from deploy.settings import Check, Settings
from deploy.shell import Variable
from deploy.state import State, inside_settings
from deploy.words import for_script


def variables(
    settings: Settings,
    state: State,
    *,
    before: Literal["healthy", "ill"],
    rolling: bool = False,
    because: Message | None = None,
) -> dict[str, Variable]:
    """Name them as the script does; an app that was `ill` before an update that is undone need not answer again.

    `rolling`: the workers are replaced one by one. Otherwise the container is restarted, `because` of what is told.
    """
    asked, restart = check(settings), settings.restart
    told = inside_settings(settings) | {
        "paths": list(asked.paths),
        "exclusive": list(restart.exclusive_files),
        "boot_timeout": restart.timeout,
        "drain_timeout": restart.drain_timeout,
    }
    return {
        "compose": compose.of_app(state),
        "rolling": json.dumps(told) if rolling else "",
        "because": for_script(because) if because else "",
        "roll_timeout": roll_timeout(settings),
        "answers": tuple(asked.url + path for path in asked.paths),
        "restart_timeout": restart.timeout,
        "server": settings.app.server,
        "reload": tuple(restart.reload),
        "before": before,
        "killed_before": state.kills,
    }


def roll_timeout(settings: Settings) -> int:
    """How long all the workers together may take to be replaced, in seconds."""
    return 3 * (settings.restart.timeout + settings.restart.drain_timeout)


def check(settings: Settings) -> Check:
    """Find the check that tells that the app itself answers."""
    return next(one for one in settings.health.checks if one.name == settings.restart.check)
