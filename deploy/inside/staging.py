"""Build a commit's tree beside the app's folder: what apply moves in, and what can be run from before it does."""

from __future__ import annotations

import os
import shutil
import stat
from io import BufferedReader
from typing import Any

from deploy.inside.record import read_json, read_work, remove_json, write_json
from deploy.inside.tree import BYTECODE, Tree, clone, free_bytes, within
from deploy.inside.wire import MIB, Entry, ExpectedError, raw, read_blobs, say, shown

# How deep the folders of a scratch folder are made again: an app expects its logs folder, not every customer's.
SCRATCH_DEPTH = 2


def staged(settings: dict[str, Any]) -> Tree:
    """Where a commit is staged; nothing in there is protected, for nothing in there is the app's."""
    place = os.path.join(settings["record"], "tree")
    return Tree({**settings, "app": place, "protected": [], "exclude": []})


def stage(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Write the files that the scan found wanting; with `whole`, make it a tree that the app can be run from."""
    tree, work, entries = read_work(settings)
    if not settings["whole"] and read_json(settings, b"tree.json") == {"revision": work["revision"], "whole": True}:
        for _ in read_blobs(stream):
            """It is all there already, from the proof."""
        return
    owner, place = tree.owner(), staged(settings)
    discard(settings)
    room(tree, settings["need_bytes"] + (weight(tree) if settings["whole"] else 0), settings)
    os.mkdir(place.root, 0o755)
    os.chown(place.root, *owner)
    write_blobs(place, entries, [raw(path) for path in work["write"]], stream, owner)
    if settings["whole"]:
        complete(tree, place, work, owner)
        surround(tree, place, [raw(path) for path in settings["scratch"]], owner)
    write_json(raw(settings["record"]), b"tree.json", {"revision": work["revision"], "whole": settings["whole"]})
    if settings["whole"]:
        say(place.root.decode("utf-8", "surrogateescape"))


def discard(settings: dict[str, Any], _: object = None) -> None:
    """Remove what was staged. Links in it lead into the app's folder and are not followed."""
    remove_json(settings, b"tree.json")
    shutil.rmtree(os.path.join(raw(settings["record"]), b"tree"), ignore_errors=True)


def require(settings: dict[str, Any], revision: str) -> Tree:
    """Return the staged tree of a commit."""
    found = read_json(settings, b"tree.json")
    if not found or found["revision"] != revision:
        raise ExpectedError(f"{revision} was not staged before")
    return staged(settings)


def room(tree: Tree, needed: int, settings: dict[str, Any]) -> None:
    """Refuse to begin what would leave less than the floor of free space."""
    free, needed = free_bytes(tree), needed + settings["min_free_mib"] * MIB
    if free < needed:
        raise ExpectedError(f"needs {-(-needed // MIB)} MiB in {settings['app']}, {free // MIB} MiB free")


def weight(tree: Tree) -> int:
    """Count the bytes of the unprotected files: what laying a whole tree may take."""
    return sum(os.lstat(tree.at(path)).st_size for _, files in tree.walk() for path in files)


def write_blobs(
    place: Tree, entries: dict[bytes, Entry], paths: list[bytes], stream: BufferedReader, owner: tuple[int, int]
) -> None:
    """Write each blob to its places as it arrives."""
    places: dict[str, list[bytes]] = {}
    for path in paths:
        places.setdefault(entries[path].blob, []).append(path)
    for blob, data in read_blobs(stream):
        for path in places.pop(blob, []):
            place.write(path, entries[path].mode, data, owner)
    if places:
        raise ExpectedError(f"the host did not send {shown(next(iter(places.values()))[0])}")


def complete(tree: Tree, place: Tree, work: dict[str, Any], owner: tuple[int, int]) -> None:
    """Lay what stays as it is, files that git does not know too, and make the derived files as they will be.

    Copies, not second names: what the new code writes into a file here must not reach the running app.
    """
    changing = {raw(path) for path in (*work["write"], *work["clear"], *work["remove"])}
    for _, files in tree.walk():
        staying = [path for path in files if path not in changing and not BYTECODE.search(path)]
        if staying:
            place.make_way(staying[0], owner)
        for path in staying:
            clone(tree.at(path), place.at(path))
    for path, source in tree.derived.items():
        if not os.path.lexists(place.at(path)) and os.path.isfile(place.at(source)):
            clone(place.at(source), place.at(path))


def surround(tree: Tree, place: Tree, scratch: list[bytes], owner: tuple[int, int]) -> None:
    """Link the protected paths in. Of scratch ones only the folders are made: what is written there is thrown away."""
    for path in tree.protected:
        if not os.path.lexists(tree.at(path)) or os.path.lexists(place.at(path)):
            continue
        if within(path, scratch):
            hollow(tree.at(path), place.at(path), owner, SCRATCH_DEPTH)
        else:
            os.symlink(tree.at(path), place.at(path))


def hollow(folder: bytes, copy: bytes, owner: tuple[int, int], depth: int) -> None:
    """Make a folder's folders again, empty."""
    os.mkdir(copy, stat.S_IMODE(os.stat(folder).st_mode))
    os.chown(copy, *owner)
    if depth == 0:
        return
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            hollow(entry.path, os.path.join(copy, entry.name), owner, depth - 1)
