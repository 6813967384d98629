"""What a copy replaces, kept so that it can be brought back: bytes, modes, owners, and the record of what ran."""

from __future__ import annotations

import os
import shutil
import stat
from io import BufferedReader
from typing import Any

from deploy.inside.message import ExpectedError, counted, message, say
from deploy.inside.pace import Pace
from deploy.inside.record import Record, boot_id, is_damaged, put_aside, read_json, remove_json, uptime, write_json
from deploy.inside.staging import discard, room
from deploy.inside.tree import Tree, clone, parents, remove
from deploy.inside.wire import raw, text

BEFORE = b"before.json"


def keep(settings: dict[str, Any], tree: Tree, work: dict[str, Any], record: Record | None) -> None:
    """Keep everything that a copy is about to replace or remove, before it does."""
    forget(settings)
    touched = dict.fromkeys(map(raw, (*work["write"], *work["clear"], *work["remove"], *map(text, tree.derived))))
    there = [path for path in touched if tree.status(path) is not None]
    saved = [path for path in there if not is_folder(tree, path)]
    room(tree, sum(os.lstat(tree.at(path)).st_size for path in saved), settings)
    pace = Pace(message("kept for an undo"), len(saved))
    for path in saved:
        copy = kept(settings, path)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        duplicate(tree.at(path), copy)
        pace.count()
    folders = {folder for path in touched for folder in (*parents(path), path) if is_folder(tree, folder)}
    remembered = {
        "run": settings["run"],
        "began": uptime(),
        "record": record and record.facts,
        "saved": [text(path) for path in saved],
        "added": [text(path) for path in touched if path not in there],
        "folders": {text(path): attributes(tree.at(path)) for path in sorted(folders)},
    }
    write_json(raw(settings["record"]), BEFORE, remembered)


def undo(settings: dict[str, Any], _: BufferedReader) -> None:
    """Bring back what the copy of this run replaced. Harmless where that copy touched nothing, or twice.

    What is remembered here lets a roll know which master was started meanwhile: it has read the files that go now.
    """
    before = read_json(settings, BEFORE)
    if before is None and is_damaged(settings, BEFORE):
        raise ExpectedError("before.json in %s is damaged: what was copied stays", settings["record"])
    if before is None or before["run"] != settings["run"]:
        discard(settings)
        say("the copy had not touched anything")
        return
    tree = Tree(settings)
    added = [raw(path) for path in before["added"]]
    removed = [path for path in added if tree.status(path) is not None and remove_any(tree, path)]
    for path in removed:
        tree.prune(path, ())
    for path, (mode, user, group) in before["folders"].items():
        make_folder(tree, raw(path), mode, (user, group))
    for path in map(raw, before["saved"]):
        put_back(tree, kept(settings, path), path)
    tree.remove_temporaries(())
    if before["record"] is None:
        remove_json(settings, b"record.json")
    else:
        write_json(raw(settings["record"]), b"record.json", before["record"])
    remove_json(settings, b"work.json")
    discard(settings)
    undone = {"boot_id": boot_id(), "from": before["began"], "to": uptime()}
    write_json(raw(settings["record"]), b"undone.json", undone)
    forget(settings)
    saved = counted(len(before["saved"]), "%s file", "%s files")
    say("%s as before, %s removed again", saved, len(removed))


def forget(settings: dict[str, Any]) -> None:
    """Drop what an earlier copy kept: only the last one can be undone."""
    if is_damaged(settings, BEFORE):
        # What it kept may still be needed, and nothing else tells that any more.
        put_aside(settings, BEFORE)
        shutil.rmtree(os.path.join(raw(settings["record"]), b"before.damaged"), ignore_errors=True)
        put_aside(settings, b"before")
    remove_json(settings, BEFORE)
    shutil.rmtree(os.path.join(raw(settings["record"]), b"before"), ignore_errors=True)


def kept(settings: dict[str, Any], path: bytes) -> bytes:
    return os.path.join(raw(settings["record"]), b"before", path)


def duplicate(source: bytes, copy: bytes) -> None:
    """Make a second name of a file: nothing writes into a file in place here. Across filesystems, a true copy."""
    try:
        os.link(source, copy, follow_symlinks=False)
    except OSError:
        clone(source, copy)


def put_back(tree: Tree, copy: bytes, path: bytes) -> None:
    """Put a kept file back in one instant; the kept one stays until all are back."""
    temporary = tree.temporary(path)
    duplicate(copy, temporary)
    try:
        os.replace(temporary, tree.at(path))
    finally:
        # Two names of one file: rename does nothing then, and leaves the other name.
        remove(temporary)


def make_folder(tree: Tree, path: bytes, mode: int, owner: tuple[int, int]) -> None:
    if tree.status(path) is not None and not is_folder(tree, path):
        # The copy put a file where a folder was.
        remove(tree.at(path))
    if tree.status(path) is None:
        os.makedirs(tree.at(path), exist_ok=True)
        os.chmod(tree.at(path), mode)
        os.chown(tree.at(path), *owner)


def remove_any(tree: Tree, path: bytes) -> bool:
    """Remove a file that the copy added; a folder in its place is not its own."""
    return not is_folder(tree, path) and remove(tree.at(path))


def is_folder(tree: Tree, path: bytes) -> bool:
    status = tree.status(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def attributes(folder: bytes) -> tuple[int, int, int]:
    status = os.lstat(folder)
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
