"""Whether the target is suitable for a hot update: what is baked into the image has to stay as it is."""

from collections.abc import Container, Iterator, Mapping

from deploy import remedies
from deploy.message import say
from deploy.plan import Finding, Level, Options
from deploy.settings import Settings
from deploy.state import App, State
from deploy.words import names

# No blob: the image's of a file that nothing tells of.
UNKNOWN = "unknown"


def suitable(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    if state.app is None or not state.repository.target:
        return
    rebuilt = (settings.app.image, settings.app.service)
    changed = tuple(unsuitable(state))
    if changed:
        level: Level = "warning" if options.allow_unsuitable else "refusal"
        remedy = remedies.rebuild_later if options.allow_unsuitable else remedies.rebuild_or_allow
        yield Finding(
            level, "suitable", say("not suitable for a hot update: %s changed", names(changed)), remedy(*rebuilt)
        )
    if earlier := tuple(name for name in overridden(state) if name not in changed):
        yield Finding(
            "warning",
            "suitable",
            say("the image still lacks earlier changes of %s", names(earlier)),
            remedies.rebuild(*rebuilt),
        )
    if not changed and not earlier:
        yield Finding("ok", "suitable", say("no change to dependencies, image, Compose, Nginx or Supervisor"))


def unsuitable(state: State) -> dict[str, str]:
    """Files baked into the image that the target changes against what runs, with the blobs that the image has.

    Where the running revision is unknown their bytes in the container tell; a file that is not there (.dockerignore)
    counts when it changed since the clone's HEAD.
    """
    app, since_head = state.app, state.image_changes_since_head
    if state.running and app and app.record and app.record.complete:
        return {name: blob for name, blob in state.image_changes.items() if name not in _restored(state)}
    changed = [name for name in state.image_files if app and _differs(name, app, since_head)]
    return {name: (app and app.differs.get(name)) or since_head.get(name, UNKNOWN) for name in changed}


def overridden(state: State) -> dict[str, str]:
    """Such changes that an earlier run was allowed to ignore and the image still lacks, with the blobs that it has."""
    recorded = _overridden_earlier(state)
    return {name: blob for name, blob in recorded.items() if state.image_files.get(name, "") != blob}


def _differs(name: str, app: App, since_head: Container[str]) -> bool:
    if name in app.installed:
        return app.installed[name]
    absent = app.differs.get(name, "") is None
    return name in (since_head if absent else app.differs)


def _restored(state: State) -> set[str]:
    """Such changes that the target takes back: it has the image's files again."""
    return _overridden_earlier(state).keys() - overridden(state).keys()


def _overridden_earlier(state: State) -> Mapping[str, str]:
    return state.app.record.overridden if state.app and state.app.record else {}
