"""Folders that are built from sources of the repository and that git does not know: what each was built from."""

from __future__ import annotations

import os
from typing import Any

from deploy.inside.mounts import mounts
from deploy.inside.record import read_json, write_json
from deploy.inside.tree import glob
from deploy.inside.wire import raw

# By name: the digest of the sources, the files that came with that build, and since when others may still be wanted.
BUILT = b"built.json"
# Not known, but that it is something else.
OTHER = "?"
NOTHING: dict[str, Any] = {"digest": "", "files": [], "left": {}}


def known_builds(settings: dict[str, Any]) -> dict[str, Any]:
    found = read_json(settings, BUILT)
    return dict(found["builds"]) if found else {}


def remember_builds(settings: dict[str, Any], known: dict[str, Any]) -> None:
    write_json(raw(settings["record"]), BUILT, {"builds": known})


def built(settings: dict[str, Any]) -> dict[str, str]:
    """Tell, of those that are there and are not mounted, what they were built from."""
    known = known_builds(settings)
    mounted = mounts(os.path.realpath(raw(settings["app"])))
    return {
        name: known.get(name, NOTHING)["digest"]
        for name, one in settings["built"].items()
        if raw(one["path"]) not in mounted and os.path.isdir(os.path.join(settings["app"], one["path"]))
    }


def remember_sources(settings: dict[str, Any], work: dict[str, Any]) -> None:
    """Before a commit's sources are copied: what those that nothing is known of were built from.

    They came with the sources that lie there. Where the copy leaves these as they are, they are the commit's.
    """
    known, had, wanted = known_builds(settings), work["had"], work["entries"]
    # An image may have been made without its sources.
    written = [path for path in work["write"] if had.get(path, wanted[path][1]) != wanted[path][1]]
    touched = [raw(path) for path in (*written, *work["clear"], *work["remove"])]
    for name, digest in built(settings).items():
        if not digest and (told := settings["digests"].get(name)):
            patterns = [glob(pattern) for pattern in settings["built"][name]["sources"]]
            changes = any(pattern.match(path) for pattern in patterns for path in touched)
            known[name] = {**NOTHING, "digest": (told["running"] or OTHER) if changes else told["target"]}
    if known:
        remember_builds(settings, known)
