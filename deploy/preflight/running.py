"""What runs in the app container, and how it differs from what was deployed."""

from collections.abc import Iterator

from deploy import programs, releases, remedies
from deploy.message import Message, say
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names


def programs_left(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """What nothing restarts goes on with the old code."""
    for one in programs.replacements(settings, state):
        if one.way == "leave":
            yield Finding("warning", "programs", say("nothing restarts %s", one.program.name), remedies.SET_PROGRAM)


def release(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    if state.app is None:
        return
    runs, told = releases.running(state)[:7], drift_in(state)
    if told is None:
        yield Finding("ok", "release", say("%s runs", runs))
    elif not runs:
        yield Finding("warning", "release", told, remedies.WRITES_DOWN if state.clone_at else remedies.COPIES_ALL)
    else:
        remedy = remedies.PUTS_RIGHT if state.app.drift else remedies.RESTARTS
        yield Finding("warning", "release", say("%s, but %s", runs, told), remedy)


def drift(state: State) -> Message | None:
    """Say how what runs differs, in any container, from what was deployed; nothing where it does not."""
    return drift_in(state) or next(
        (say("%s: %s", one.name, told) for one in state.others if (told := drift_in(one.state))), None
    )


def drift_in(state: State) -> Message | None:
    """Say it of the app container alone."""
    app = state.app
    if app is None:
        return say("unknown: the container cannot be looked into")
    if state.replicas_left:
        return say("unknown: %s of the same service too", names(state.replicas_left))
    if app.record is None and state.clone_at:
        return say("unknown: what runs was not written down, the code is that of the clone")
    if app.record is None:
        return _of_the_image(state)
    if not app.record.complete:
        return say("a copy of %s was not finished (run %s)", app.record.revision[:7], app.record.run)
    if app.drift:
        return say("changed by hand: %s", names(app.drift))
    if older := tuple(one.name for one in app.programs if not one.fresh):
        return say("older than the code: %s", names(older))
    return None


def _of_the_image(state: State) -> Message:
    """Say what runs in a container without a record: the code of its image, whatever was deployed since."""
    image = state.image_revision[:7] or say("the image of %s", state.image_created[:10])
    deployed = releases.deployed(state)
    if not deployed or not state.first:
        return say("unknown: never hot-updated, the code is that of %s", image)
    return say("the container was recreated since %s was deployed, the code is that of %s again", deployed[:7], image)
