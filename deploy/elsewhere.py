"""Tracked files that have their place elsewhere in the container: which a release brings there, and which it leaves."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from deploy.plan import Options
from deploy.settings import Settings
from deploy.settings.model import File
from deploy.state.model import Installed, State


@dataclass(frozen=True)
class Change:
    """A file that lies there otherwise than the release has it: it is brought there, or left `because` of something."""

    name: str
    file: File
    found: Installed
    because: Literal["", "asked", "edited", "never"]


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
        Change(name, file, found[name], _because(name, file, found[name], options))
        for name, file in installed(settings).items()
        if name in found and found[name].differs
    )


def _because(name: str, file: File, found: Installed, options: Options) -> Literal["", "asked", "edited", "never"]:
    if file.when == "never":
        return "never"
    if name in options.also:
        return ""
    if file.when == "asked":
        return "asked"
    return "edited" if found.edited else ""
