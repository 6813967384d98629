"""Make the app's folder in the container equal to the commit."""

from deploy import mounted, shell, words
from deploy.message import Message, Printed, Told, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs
from deploy.steps import commit, restore, serving

NEEDS: tuple[str, ...] = (
    "tools",
    "engine",
    "repository",
    "protected paths",
    "filters",
    "submodules",
    "disk",
    "app container",
    "mounts",
    "env",
    "suitable",
    "built",
)
TARGET: TargetIs = "head"
TIMEOUT = 600


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    app = state.app
    if app is None or app.record is None:
        return say("what runs is unknown")
    if not app.record.complete:
        return say("the last copy was not finished")
    if app.record.revision != state.repository.target:
        return say("%s runs", app.record.revision[:7])
    if app.drift or app.differs:
        return say("changed by hand: %s", words.names(app.drift or tuple(sorted(app.differs))))
    return None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    script = shell.script(
        "containers.sh",
        "ready.sh",
        "trees.sh",
        "commit.sh",
        "steps/copy.sh",
        **commit.variables(settings, state, run, state.repository.target),
        killed_before=state.kills,
    )
    why = reason(settings, state, options) or ASKED_FOR
    summary = _summary(settings, state, commit.recorded(state))
    if mounted.is_mounted(settings, state):
        summary = (say("nothing: every file there is compared with the commit"),)
    undo = _undo(settings, state, options, run)
    # The undo has the old processes serve again, too.
    timeout = TIMEOUT + serving.replace_timeout(settings, state) + settings.restart.timeout
    return Step("copy", why, script, timeout, summary, undo=undo)


def _undo(settings: Settings, state: State, options: Options, run: str) -> str:
    """Bring back the files, then the old processes: workers may have recycled and imported new code meanwhile.

    Where the database or the clone is brought back next, the processes come with that: old code may not boot on the new
    schema, and mounted code is not back yet.
    """
    later = restore.undoes(settings, state, options) or mounted.is_mounted(settings, state)
    restarts = () if later else ("steps/restart.sh",)
    return shell.script(
        "containers.sh",
        "steps/copy.undo.sh",
        *restarts,
        **commit.variables(settings, state, run, ""),
        **serving.returning(settings, state),
        container_id=state.containers["app"].id,
        container_started=state.containers["app"].started,
    )


def _summary(settings: Settings, state: State, recorded: bool) -> tuple[Told, ...]:
    where = say("%s in %s := %s", settings.app.path, settings.app.container, state.repository.target[:7])
    if not recorded or not state.running:
        return (say("%s, every file", where),)
    changes = tuple(Printed(f"{status} {name}") for status, name in state.changes)
    # A preview tells them by itself.
    shown = () if state.preview else changes
    return (
        say("%s, %s changed", where, len(changes)),
        *shown[:10],
        *((say("and %s more", len(shown) - 10),) if len(shown) > 10 else ()),
        *((say("put right: %s", words.names(state.app.drift)),) if state.app and state.app.drift else ()),
    )
