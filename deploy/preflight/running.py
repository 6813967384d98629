"""What runs in the app container, and how it differs from what was deployed."""

from collections.abc import Iterator

from deploy import releases, remedies
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names


def release(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    if state.app is None:
        return
    told, record = drift(state), state.app.record
    if record is None or not record.complete:
        yield Finding("warning", "release", told, remedies.COPIES_ALL)
    elif state.app.drift:
        yield Finding("warning", "release", f"{record.revision[:7]}, but {told}", remedies.PUTS_RIGHT)
    elif told:
        yield Finding("warning", "release", f"{record.revision[:7]}, but {told}", remedies.RESTARTS)
    else:
        yield Finding("ok", "release", f"{record.revision[:7]} runs")


def drift(state: State) -> str:
    """Say how what runs differs from what was deployed; nothing where it does not."""
    app = state.app
    if app is None:
        return "unknown: the container cannot be looked into"
    if state.replicas_up:
        return f"unknown: {names(state.replicas_up)} of the same service too"
    if app.record is None:
        return _of_the_image(state)
    if not app.record.complete:
        return f"a copy of {app.record.revision[:7]} was not finished (run {app.record.run})"
    if app.drift:
        return f"changed by hand: {names(app.drift)}"
    if app.processes and not state.fresh:
        return "the app server is older and runs what was there before"
    return ""


def _of_the_image(state: State) -> str:
    """Say what runs in a container without a record: the code of its image, whatever was deployed since."""
    image = state.image_revision[:7] or f"the image of {state.image_created[:10]}"
    deployed = releases.deployed(state)
    if not deployed:
        return f"unknown: never hot-updated, the code is that of {image}"
    return f"the container was recreated since {deployed[:7]} was deployed, the code is that of {image} again"
