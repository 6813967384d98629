"""Build a commit's tree beside the app's folder: what apply moves in, and what can be run from before it does."""

from __future__ import annotations

import os
import shutil
from io import BufferedReader
from typing import Any

from deploy.inside.message import ExpectedError, message
from deploy.inside.pace import Pace
from deploy.inside.record import read_json, read_work, remove_json, write_json
from deploy.inside.tree import Tree, above, free_bytes, remove
from deploy.inside.whole import lay, remember, remembered, staying, surround, tidy
from deploy.inside.wire import MIB, Entry, answer, raw, read_blobs, shown


def staged(settings: dict[str, Any]) -> Tree:
    """Where a commit is staged; nothing in there is protected, for nothing in there is the app's."""
    place = os.path.join(settings["record"], "tree")
    return Tree({**settings, "app": place, "protected": [], "exclude": []})


def stage(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Write the files that the scan found wanting; with `whole`, make it a tree that the app can be run from."""
    tree, work, entries = read_work(settings)
    if is_staged(settings):
        return
    remove_json(settings, b"tree.json")
    owner, place, writing = tree.owner(), ground(settings), [raw(path) for path in work["write"]]
    sources = staying(tree, work) if settings["whole"] else {}
    copies = tidy(place, above([*sources, *writing]), remembered(settings, sources), owner)
    missing = [path for path in sources if path not in copies]
    room(tree, settings["need_bytes"] + sum(sources[path].st_size for path in missing), settings)
    write_blobs(place, entries, writing, stream, owner)
    if settings["whole"]:
        copies.update(lay(tree, place, missing))
        surround(tree, place, [raw(path) for path in settings["scratch"]])
    remember(settings, sources, copies)
    write_json(raw(settings["record"]), b"tree.json", {"revision": work["revision"], "whole": settings["whole"]})
    if settings["whole"]:
        answer(place.root.decode("utf-8", "surrogateescape"))


def is_staged(settings: dict[str, Any]) -> bool:
    """Tell whether all that is asked for is there already, from a proof."""
    proven = {"revision": settings["revision"], "whole": True}
    return not settings["whole"] and read_json(settings, b"tree.json") == proven


def ground(settings: dict[str, Any]) -> Tree:
    """Have a folder to stage in, whatever an earlier proof made of it."""
    place = os.path.join(raw(settings["record"]), b"tree")
    if os.path.islink(place) or not os.path.isdir(place):
        remove(place)
        os.mkdir(place)
    return staged(settings)


def discard(settings: dict[str, Any], _: object = None) -> None:
    """Remove what was staged. Links in it lead into the app's folder and are not followed."""
    remove_json(settings, b"tree.json")
    remove_json(settings, b"laid.json")
    shutil.rmtree(os.path.join(raw(settings["record"]), b"tree"), ignore_errors=True)


def claim(settings: dict[str, Any], revision: str) -> tuple[Tree, bool]:
    """Return the staged tree of a commit and whether it is whole, to take files out of: it is not staged any more."""
    found = read_json(settings, b"tree.json")
    if not found or found["revision"] != revision:
        raise ExpectedError("%s was not staged before", revision)
    remove_json(settings, b"tree.json")
    return staged(settings), found["whole"]


def room(tree: Tree, needed: int, settings: dict[str, Any]) -> None:
    """Refuse to begin what would leave less than the floor of free space."""
    free, needed = free_bytes(tree), needed + settings["min_free_mib"] * MIB
    if free < needed:
        needed_mib, free_mib = -(-needed // MIB), free // MIB
        raise ExpectedError("needs %s MiB in %s, %s MiB free", needed_mib, settings["app"], free_mib)


def write_blobs(
    place: Tree, entries: dict[bytes, Entry], paths: list[bytes], stream: BufferedReader, owner: tuple[int, int]
) -> None:
    """Write each blob to its places as it arrives."""
    places: dict[str, list[bytes]] = {}
    for path in paths:
        places.setdefault(entries[path].blob, []).append(path)
    pace = Pace(message("sent into the container"), len(paths))
    for blob, data in read_blobs(stream):
        for path in places.pop(blob, []):
            place.write(path, entries[path].mode, data, owner)
            pace.count(len(data))
    if places:
        raise ExpectedError("the host did not send %s", shown(next(iter(places.values()))[0]))
