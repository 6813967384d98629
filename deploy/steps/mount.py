"""See that mounted code is the clone's, before the clone moves; undone once that is back: the old processes, too."""

from deploy import mounted, releases, shell
from deploy.message import Message, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables
from deploy.steps import commit, copy, serving

NEEDS: tuple[str, ...] = ("tools", "engine", "app container")
TARGET: TargetIs = "remote"
TIMEOUT = 60


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    if not mounted.is_mounted(settings, state) or not copy.reason(settings, state, options):
        return None
    return say("the code is mounted from the clone")


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    undo = shell.script(
        "containers.sh",
        "trees.sh",
        "commit.sh",
        "steps/mount.undo.sh",
        "steps/restart.sh",
        **commit.variables(settings, state, run, releases.running(state), recreated=True),
        **serving.returning(settings, state),
        container_id=state.containers["app"].id,
    )
    script = shell.script("containers.sh", "steps/mount.sh", **variables(settings))
    timeout = TIMEOUT + serving.replace_timeout(settings, state) + settings.restart.timeout
    summary = (say("%s in %s is %s itself", settings.app.path, settings.app.container, settings.target.path),)
    return Step("mount", reason(settings, state, options) or ASKED_FOR, script, timeout, summary, undo=undo)
