"""Bring the container back to what runs, where it was stopped or recreated since the state was read."""

from deploy import releases, shell
from deploy.settings import Settings
from deploy.state import State
from deploy.steps import commit, serving


def script(settings: Settings, state: State, run: str) -> str:
    container = state.containers["app"]
    return shell.script(
        "containers.sh",
        "trees.sh",
        "commit.sh",
        "steps/revive.sh",
        "steps/restart.sh",
        **commit.variables(settings, state, run, releases.running(state), recreated=True),
        **serving.variables(settings, state, before="healthy" if state.answering else "ill"),
        container_id=container.id,
        image_id=container.image,
    )
