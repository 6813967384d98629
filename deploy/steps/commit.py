"""What commit.sh has to know to bring a revision into the container."""

import json

from deploy import mounted, preflight
from deploy.settings import Settings
from deploy.shell import Variable
from deploy.state import State, inside_settings
from deploy.state import variables as shared_variables


def variables(
    settings: Settings, state: State, run: str, revision: str, *, recreated: bool = False, proving: bool = False
) -> dict[str, Variable]:
    """Name them as the script does, with the shared ones; a container that was `recreated` has no record.

    `proving`: what is staged is run beside the app's folder, and not for that.
    """
    complete = recorded(state) and not recreated
    told = inside_settings(settings) | {
        "run": run,
        "revision": revision,
        # Of a file that was changed before, the image has what was there before that.
        "overridden": preflight.unsuitable(settings, state) | preflight.overridden(state),
        "digests": _digests(state, revision),
        "scratch": list(settings.proof.scratch),
        "recorded": complete,
        "mounted": mounted.is_mounted(settings, state) and not proving,
    }
    own: dict[str, Variable] = {
        "inside_settings": json.dumps(told),
        "revision": revision,
        "run": run,
        "recorded": complete,
        "mounted": mounted.is_mounted(settings, state),
    }
    return {**shared_variables(settings), **own}


def _digests(state: State, revision: str) -> dict[str, dict[str, str]]:
    """Of the sources of built folders: those of this revision, and of what runs."""
    wanted = revision == state.repository.target
    return {
        name: {"target": one.target if wanted else one.running, "running": one.running if wanted else ""}
        for name, one in state.sources.items()
    }


def recorded(state: State) -> bool:
    """Has the container a complete record of what runs in it?"""
    return state.app is not None and state.app.record is not None and state.app.record.complete
