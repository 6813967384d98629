"""Whether the target is suitable for a hot update: what is baked into the image has to stay as it is."""

from collections.abc import Container, Iterator, Mapping

from deploy import builds, elsewhere, remedies
from deploy.builds import Build
from deploy.message import Message, Told, say
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
    changed = tuple(unsuitable(settings, state))
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
        yield Finding("ok", "suitable", say("nothing changes that needs the image rebuilt"))


def files(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    """What a release would bring elsewhere in the container, and what stays there as it is."""
    for one in elsewhere.changes(settings, state, options):
        place = one.found.place
        if one.because == "asked":
            evidence = say("%s is not that of the release, and is brought there only when asked for", place)
            yield Finding("warning", "files", evidence, remedies.bring_file(one.name))
        elif one.because == "edited":
            evidence = say("%s was changed by hand, so the release's is not brought there", place)
            yield Finding("warning", "files", evidence, remedies.bring_file(one.name))
        elif one.because == "mounted":
            evidence = say(
                "%s is mounted into the container from %s, so the release's is not brought there", place, one.source
            )
            yield Finding("warning", "files", evidence, remedies.edit_mounted(one.file.source, one.source))


def built(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    """What was built from other sources than the target's: one of these comes with it, or users go on getting that."""
    for one in builds.due(settings, state):
        place, clone = f"{settings.app.path}/{one.built.path}", f"{settings.target.path}/{one.built.path}"
        if one.found != "nowhere" and not options.keep_built:
            yield Finding("ok", "built", say("%s comes with it: %s", place, _comes(one, clone)))
            continue
        what = say("%s changed", names(one.changed)) if one.changed else say("its sources changed before")
        evidence = say("%s, and users go on getting %s as it was built", what, place)
        if options.keep_built or options.back or not one.changed:
            remedy = remedies.build(clone) if one.found == "nowhere" else remedies.BUILD_LATER
            yield Finding("warning", "built", evidence, remedy)
        else:
            yield Finding(
                "refusal", "built", say("%s; %s", evidence, _lacks(one, clone)), remedies.build_or_keep(clone)
            )


def _comes(one: Build, clone: str) -> Told:
    match one.found, one.sources.folder:
        case "stored", _:
            return say("the host has built these sources before")
        case "laptop", _:
            return say("from the laptop")
        case _, "same":
            return say("%s, by the digest of its sources", clone)
        case _, "younger":
            return say("%s, which is younger than its sources", clone)
    return say("built on the host")


def _lacks(one: Build, clone: str) -> Message:
    if one.sources.folder == "none":
        return say("%s is not there", clone)
    if one.sources.folder == "older":
        return say("%s is older than its sources", clone)
    return say("%s was built from other sources", clone)


def unsuitable(settings: Settings, state: State) -> dict[str, str]:
    """Files baked into the image that the target changes against what runs, with the blobs that the image has.

    Those that can be brought to their places elsewhere are none.

    Where the running revision is unknown their bytes in the container tell; a file that is not there (.dockerignore)
    counts when it changed since the clone's HEAD.
    """
    files = elsewhere.installed(settings)
    movable = {file.source for file in files.values() if file.when != "never"} | set(
        elsewhere.derived(settings).values()
    )
    found = {files[name].source: found.differs for name, found in (state.app.files if state.app else {}).items()}
    baked = {name: blob for name, blob in _baked(state).items() if name not in movable and found.get(name, True)}
    others = {name: UNKNOWN for name, differs in found.items() if differs and name not in movable}
    return others | baked


def _baked(state: State) -> dict[str, str]:
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
    absent = app.differs.get(name, "") is None
    return name in (since_head if absent else app.differs)


def _restored(state: State) -> set[str]:
    """Such changes that the target takes back: it has the image's files again."""
    return _overridden_earlier(state).keys() - overridden(state).keys()


def _overridden_earlier(state: State) -> Mapping[str, str]:
    return state.app.record.overridden if state.app and state.app.record else {}
