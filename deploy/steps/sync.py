"""Bring the clone to the planned commit of the remote branch."""

from deploy import shell
from deploy.message import Message, Printed, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables

NEEDS: tuple[str, ...] = (
    "tools",
    "repository",
    "remote",
    "work tree",
    "commits",
    "protected paths",
    "filters",
    "line endings",
    "submodules",
    "disk",
)
TARGET: TargetIs = "remote"


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    repository = state.repository
    if repository.head != repository.target:
        return say("the clone is at %s", repository.head[:7])
    if repository.branch != settings.git.branch:
        return say("the clone is not on %s", settings.git.branch)
    return say("uncommitted changes") if repository.uncommitted else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    repository = state.repository
    script = shell.script(
        "worktree.sh",
        "steps/sync.sh",
        **variables(settings),
        revision=repository.target,
        run=run,
        discard=options.discard,
        back=options.back,
    )
    saved = repository.uncommitted or repository.endangered or repository.unpushed
    git = settings.git
    fetches = not options.back and git.via == "host"
    return Step(
        name="sync",
        reason=reason(settings, state, options) or ASKED_FOR,
        script=script,
        timeout=git.fetch_timeout + 120,
        summary=(
            *((Printed(shell.sh("git", "fetch", git.remote, git.branch)),) if fetches else ()),
            *((say("save what would be lost under refs/hot-update/saved/%s", run),) if saved else ()),
            say("git reset --hard %s on %s", repository.target[:7], git.branch),
            *(() if state.preview else repository.incoming[:5]),
        ),
        undo=shell.script("worktree.sh", "steps/sync.undo.sh", **variables(settings), revision=repository.target),
    )
