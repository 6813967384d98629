"""Bring the container back to what runs, where it was stopped or recreated since the state was read."""

import json

from deploy import releases, shell
from deploy.settings import Settings
from deploy.state import State, inside_settings
from deploy.steps import commit, serving, ship


def script(settings: Settings, state: State, run: str) -> str:
    container = state.containers["app"]
    return shell.script(
        "containers.sh",
        "trees.sh",
        "commit.sh",
        "built.sh",
        "steps/revive.sh",
        "steps/restart.sh",
        **commit.variables(settings, state, run, releases.running(state), recreated=True),
        install_settings=json.dumps(_files(settings, state) | {"run": run}),
        **serving.variables(settings, state, before="healthy" if state.answering else "ill"),
        container_id=container.id,
        image_id=container.image,
        builds=tuple(word for name, digest in _built(state) for word in (name, digest)),
        ship_settings=tuple(
            json.dumps(inside_settings(settings) | {"run": run, **ship.told(settings, name, digest)})
            for name, digest in _built(state)
        ),
    )


def _built(state: State) -> tuple[tuple[str, str], ...]:
    """What the container was given beside the code, by the digests of the sources."""
    known = state.app.built if state.app else {}
    return tuple((name, digest) for name, digest in known.items() if digest.strip("?"))


def _files(settings: Settings, state: State) -> dict[str, object]:
    """Which files elsewhere were those of the release that runs, and so come back with it."""
    found = state.app.files if state.app else {}
    names = [name for name, one in found.items() if one.current and settings.files[name].when != "never"]
    return inside_settings(settings) | {"names": names, "digits": len(state.repository.target) or 40}
