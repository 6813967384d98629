"""Tracked files that have their place elsewhere in the container: which a release brings there, and which it leaves."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from deploy.plan import Options
from deploy.settings import Settings
from deploy.settings.model import File
from deploy.state.model import Installed, State

Because = Literal["", "asked", "edited", "mounted", "never"]


@dataclass(frozen=True)
class Change:
    """A file that lies there otherwise than the release has it: it is brought there, or left `because` of something.

    `source` is what is mounted there, on the host: what lies in a mount is not the container's to change.
    """

    name: str
    file: File
    found: Installed
    because: Because
    source: str = ""


def derived(settings: Settings) -> dict[str, str]:
    """Those that lie in the app's folder are part of the copy: their paths there, each with its source."""
    app = PurePosixPath(settings.app.path)
    places = {PurePosixPath(file.places[0].path): file.source for file in settings.files.values()}
    return {str(place.relative_to(app)): source for place, source in places.items() if place.is_relative_to(app)}


def installed(settings: Settings) -> dict[str, File]:
    """The others, by their names."""
    copied = set(derived(settings).values())
    return {name: file for name, file in settings.files.items() if file.source not in copied}


def told(settings: Settings) -> dict[str, Any]:
    """What the program in the container is told of them."""
    return {
        name: {
            "source": file.source,
            "places": [[place.path, place.rendered] for place in file.places],
            "render": dict(file.render),
            "check": file.check,
            "apply": file.apply,
        }
        for name, file in installed(settings).items()
    }


def changes(settings: Settings, state: State, options: Options) -> tuple[Change, ...]:
    """Decide it for each that differs from the target's."""
    found = state.app.files if state.app else {}
    return tuple(
        _change(name, file, found[name], state, options)
        for name, file in installed(settings).items()
        if name in found and found[name].differs
    )


def _change(name: str, file: File, found: Installed, state: State, options: Options) -> Change:
    because = _because(name, file, found, options)
    mounted = mounted_from(state, found.place)
    return Change(name, file, found, "mounted" if mounted and because != "never" else because, mounted)


def mounted_from(state: State, place: str) -> str:
    """Say where a place in the app's container is mounted from; nothing where it is the container's own."""
    mounts = state.containers["app"].mounts if "app" in state.containers else {}
    return next((source for point, source in mounts.items() if PurePosixPath(place).is_relative_to(point)), "")


def _because(name: str, file: File, found: Installed, options: Options) -> Because:
    if file.when == "never":
        return "never"
    if name in options.also:
        return ""
    if file.when == "asked":
        return "asked"
    return "edited" if found.edited else ""
