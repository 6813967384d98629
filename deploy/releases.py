"""What the history says of releases: which were good, and where a rollback goes."""

from collections.abc import Iterator

from deploy.message import say
from deploy.state import PastRun, State


def confirmed(state: State) -> Iterator[PastRun]:
    """The runs that brought a release which was proven and confirmed, the newest first; each release once."""
    seen: set[str] = set()
    for run in reversed(state.history):
        if run.released and run.revision not in seen:
            seen.add(run.revision)
            yield run


def running(state: State) -> str:
    """The revision that runs, as far as the container can tell; else nothing."""
    record = state.app.record if state.app else None
    return record.revision if record and record.complete else ""


def before(state: State) -> str:
    """The last confirmed release before the one that runs; nothing where none is known."""
    good = [run.revision for run in confirmed(state)]
    now = running(state)
    older = good[good.index(now) + 1 :] if now in good else good
    return next((revision for revision in older if revision != now), "")


def kept_alone(run: PastRun) -> bool:
    """Has the host proven a release and kept it, without anybody to confirm it?"""
    return run.outcome == "done" and run.failed == ("confirm", "0", say("the host"))


def deployed(state: State) -> str:
    """The release that was brought last, whether or not it still runs; nothing where none is known."""
    return next((run.revision for run in reversed(state.history) if run.released), "")
