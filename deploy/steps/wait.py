"""What restart.sh has to know to wait until the app itself answers."""

from typing import Literal

from deploy.settings import Check, Settings
from deploy.shell import Variable


def variables(settings: Settings, *, before: Literal["healthy", "ill"]) -> dict[str, Variable]:
    """Name them as the script does; an app that was `ill` before an update that is undone need not answer again."""
    asked = check(settings)
    return {
        "answers": tuple(asked.url + path for path in asked.paths),
        "restart_timeout": settings.restart.timeout,
        "server": settings.app.server,
        "reload": tuple(settings.restart.reload),
        "before": before,
    }


def check(settings: Settings) -> Check:
    """Find the check that tells that the app itself answers."""
    return next(one for one in settings.health.checks if one.name == settings.restart.check)
