"""Bring the clone to the planned commit of the remote branch."""

from deploy import shell
from deploy.plan import Options, Step
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


def reason(settings: Settings, state: State, options: Options) -> str:
    repository = state.repository
    if repository.head != repository.target:
        return f"the clone is at {repository.head[:7]}"
    if repository.branch != settings.git.branch:
        return f"the clone is not on {settings.git.branch}"
    return "uncommitted changes" if repository.uncommitted else ""


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
    return Step(
        name="sync",
        reason=reason(settings, state, options),
        script=script,
        timeout=settings.git.fetch_timeout + 120,
        summary=(
            *(() if options.back else (f"git fetch {settings.git.remote} {settings.git.branch}",)),
            *((f"save what would be lost under refs/hot-update/saved/{run}",) if saved else ()),
            f"git reset --hard {repository.target[:7]} on {settings.git.branch}",
            *repository.incoming[:5],
        ),
        undo=shell.script("worktree.sh", "steps/sync.undo.sh", **variables(settings), revision=repository.target),
    )
