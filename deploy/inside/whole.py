"""The app's files beside the app's folder, for new code to be run from there: true copies, kept from stage to stage.

Copies, not second names: what the new code writes into a file here must not reach the running app. One that an earlier
stage laid stays where neither it nor the app's file was touched since; all else that is found here goes.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from typing import Any

from deploy.inside.message import message
from deploy.inside.pace import Pace
from deploy.inside.record import read_json, write_json
from deploy.inside.tree import BYTECODE, Tree, clone, signature, statuses, within
from deploy.inside.wire import raw, text

# How deep the folders of a scratch folder are made again: an app expects its logs folder, not every customer's.
SCRATCH_DEPTH = 2


def staying(tree: Tree, work: dict[str, Any]) -> dict[bytes, os.stat_result]:
    """Look at what an update leaves as it is, files that git does not know too."""
    changing = {raw(path) for path in (*work["write"], *work["clear"], *work["remove"])}
    return {
        path: status
        for _, items in tree.walk()
        for path, status in statuses(items).items()
        if path not in changing and not BYTECODE.search(path)
    }


def remember(settings: dict[str, Any], sources: dict[bytes, os.stat_result], copies: dict[bytes, list[int]]) -> None:
    """Keep what the copies are like before anything runs, and what their sources were like before they were read."""
    laid = {text(path): (signature(sources[path]), copy) for path, copy in copies.items()}
    write_json(raw(settings["record"]), b"laid.json", laid)


def remembered(settings: dict[str, Any], sources: dict[bytes, os.stat_result]) -> dict[bytes, list[int]]:
    """Say what the copies were like whose sources are untouched; none, where that cannot be read.

    A stage that was cut off takes nothing back: whatever it laid is not what is remembered of that path.
    """
    try:
        laid = {raw(path): pair for path, pair in (read_json(settings, b"laid.json") or {}).items()}
        known = {path: status for path, status in sources.items() if path in laid}
        return {path: laid[path][1] for path, status in known.items() if laid[path][0] == signature(status)}
    except (OSError, ValueError, TypeError, AttributeError, LookupError):
        return {}


def tidy(
    place: Tree, folders: set[bytes], copies: dict[bytes, list[int]], owner: tuple[int, int]
) -> dict[bytes, list[int]]:
    """Have these folders there as new ones, but for the copies in them that are untouched: which these are."""
    found, kept = {b""}, {}
    own(place.root, owner)
    for _, items in place.descend(lambda folder: folder in folders):
        for path, status in statuses(items).items():
            if not stat.S_ISDIR(status.st_mode):
                if copies.get(path) == signature(status):
                    kept[path] = copies[path]
                else:
                    os.unlink(place.at(path))
            elif path in folders:
                found.add(path)
                own(place.at(path), owner)
            else:
                shutil.rmtree(place.at(path))
    for folder in sorted(folders - found):
        os.mkdir(place.at(folder))
        own(place.at(folder), owner)
    return kept


def own(folder: bytes, owner: tuple[int, int]) -> None:
    """Give a folder the mode and the owner of a new one."""
    os.chmod(folder, 0o755)
    os.chown(folder, *owner)


def lay(tree: Tree, place: Tree, paths: Sequence[bytes]) -> dict[bytes, list[int]]:
    """Copy these files, and make the derived ones as they will be: what the copies are like."""
    copies = {}
    pace = Pace(message("copied beside the app"), len(paths))
    for path in paths:
        clone(tree.at(path), place.at(path))
        status = os.lstat(place.at(path))
        copies[path] = signature(status)
        pace.count(status.st_size)
    for path, source in tree.derived.items():
        if not there(place, path) and os.path.isfile(place.at(source)):
            clone(place.at(source), place.at(path))
    return copies


def there(place: Tree, path: bytes) -> bool:
    """Tell whether something lies at a path already, or a symlink above it leads elsewhere."""
    return place.blocker(path) is not None or os.path.lexists(place.at(path))


def surround(tree: Tree, place: Tree, scratch: list[bytes]) -> None:
    """Link the protected paths in. Of scratch ones only the folders are made: what is written there is thrown away."""
    for path in tree.protected:
        if not os.path.lexists(tree.at(path)) or there(place, path):
            continue
        if within(path, scratch):
            hollow(tree.at(path), place.at(path), SCRATCH_DEPTH)
        else:
            os.symlink(tree.at(path), place.at(path))


def hollow(folder: bytes, copy: bytes, depth: int) -> None:
    """Make a folder's folders again, empty."""
    status = os.stat(folder)
    os.mkdir(copy, stat.S_IMODE(status.st_mode))
    # Who writes there is the app's user, not the code's owner.
    os.chown(copy, status.st_uid, status.st_gid)
    if depth == 0:
        return
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            hollow(entry.path, os.path.join(copy, entry.name), depth - 1)
