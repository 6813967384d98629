"""Bring what is built from the commit's sources into the container, once new processes serve."""

import json

from deploy import builds, shell, words
from deploy.message import Message, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, inside_settings, variables

NEEDS: tuple[str, ...] = ("tools", "engine", "app container", "mounts", "built")
TARGET: TargetIs = "head"
TIMEOUT = 300


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    wanted = builds.shipped(settings, state, options)
    return say("built from other sources: %s", words.names(tuple(one.name for one in wanted))) if wanted else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    wanted = builds.shipped(settings, state, options)
    shared = {
        **variables(settings),
        "run": run,
        "container_id": state.containers["app"].id,
        "ship_settings": tuple(
            json.dumps(inside_settings(settings) | {"run": run, **told(settings, one.name, one.sources.target)})
            for one in wanted
        ),
        "builds": tuple(word for one in wanted for word in (one.name, one.was.strip("?"), one.sources.target)),
    }
    summary = tuple(
        say("%s/%s := what is built from %s", settings.app.path, one.built.path, state.repository.target[:7])
        for one in wanted
    )
    script = shell.script("containers.sh", "built.sh", "steps/ship.sh", **shared)
    undo = shell.script("containers.sh", "steps/ship.undo.sh", **shared)
    why = reason(settings, state, options) or ASKED_FOR
    return Step("ship", why, script, TIMEOUT * len(wanted), summary, undo=undo)


def told(settings: Settings, name: str, digest: str) -> dict[str, str | int]:
    """Say what the program in the container has to know of one that comes."""
    return {"name": name, "digest": digest, "keep": settings.built[name].keep}
