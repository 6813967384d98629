"""Folders that are built from sources of the repository: which a release has to bring, and where that is found."""

import re
from dataclasses import dataclass
from typing import Literal

from deploy.plan import Options
from deploy.settings import Settings
from deploy.settings.model import Built
from deploy.state.model import Sources, State


@dataclass(frozen=True)
class Build:
    """A folder in the container that was not built from the target's sources, and where that is found which is.

    `was` is the digest of what it was built from, nothing where that is unknown; `changed` are the sources that the
    release changes, none where an earlier one had.
    """

    name: str
    built: Built
    sources: Sources
    was: str
    changed: tuple[str, ...]
    found: Literal["stored", "host", "laptop", "nowhere"]


def due(settings: Settings, state: State) -> tuple[Build, ...]:
    """Find those that are not built from the target's sources."""
    if state.app is None:
        return ()
    # What the container lacks the image was made without.
    there = {name for name, blob in state.app.differs.items() if blob}
    differing = sorted({name for _, name in state.changes} | there)
    builds = []
    for name, was in state.app.built.items():
        one, sources = settings.built[name], state.sources.get(name, Sources())
        patterns = [_regular(pattern) for pattern in one.sources]
        changed = tuple(file for file in differing if any(pattern.fullmatch(file) for pattern in patterns))
        if sources.target and was != sources.target and (was or changed):
            builds.append(Build(name, one, sources, was or sources.running, changed, _found(one, sources)))
    return tuple(builds)


def shipped(settings: Settings, state: State, options: Options) -> tuple[Build, ...]:
    """Choose those that the release brings."""
    return () if options.keep_built else tuple(one for one in due(settings, state) if one.found != "nowhere")


def made_here(settings: Settings, state: State, options: Options) -> tuple[Build, ...]:
    """Choose those of them that the laptop has to bring to the host first."""
    return tuple(one for one in shipped(settings, state, options) if one.found == "laptop")


def stale(state: State) -> tuple[str, ...]:
    """Name those that were not built from the sources of what runs."""
    built = state.app.built if state.app else {}
    now = {name: state.sources.get(name, Sources()).running for name in built}
    return tuple(name for name, was in built.items() if was and now[name] and was != now[name])


def _found(one: Built, sources: Sources) -> Literal["stored", "host", "laptop", "nowhere"]:
    if sources.stored:
        return "stored"
    if one.where == "laptop":
        return "laptop"
    return "host" if one.command or sources.folder in ("same", "younger") else "nowhere"


def _regular(pattern: str) -> re.Pattern[str]:
    """Read a pattern as git's glob pathspecs do: * stays in a folder, ** crosses folders."""
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    signs = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(signs.get(part, re.escape(part)) for part in parts))
