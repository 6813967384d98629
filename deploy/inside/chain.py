"""The chain of migrations of a tree, read by Alembic alone: importing the app would cost seconds."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from io import BufferedReader
from typing import Any

from deploy.inside.record import read_json, write_json
from deploy.inside.tree import within
from deploy.inside.wire import LINK, Entry, ask, one_line, raw, read_blobs, shown, text

CHAINS, KEPT = b"chains.json", 3


def remembered(settings: dict[str, Any], entries: dict[bytes, Entry], read: Callable[[], dict[str, Any]]) -> Any:
    """Read a chain, unless it was read before from the same files; a container never updated remembers nothing."""
    folder = raw(settings["migrations"].strip("/"))
    files = sorted((text(path), entry.blob) for path, entry in entries.items() if within(path, [folder]))
    told = hashlib.sha256(json.dumps(files).encode("ascii")).hexdigest()
    known = read_json(settings, CHAINS) or {}
    if told not in known:
        found = read()
        if "error" in found or not os.path.isdir(settings["record"]):
            return found
        # The last ones are those of the running and of the coming release.
        known = {**dict(list(known.items())[-KEPT:]), told: found}
        # Two that look at once may get into each other's way; what is lost is read again.
        with contextlib.suppress(OSError):
            write_json(raw(settings["record"]), CHAINS, known)
    return known[told]


def target_chain(entries: dict[bytes, Entry], stream: BufferedReader, folder: str) -> dict[str, Any]:
    """Read the chain of a commit's migrations, which the host is asked for, unpacked for a moment."""
    wanted = {path: entry for path, entry in entries.items() if within(path, [raw(folder)]) and entry.mode != LINK}
    for blob in sorted({entry.blob for entry in wanted.values()}):
        ask(blob)
    ask("")
    blobs = dict(read_blobs(stream))
    with tempfile.TemporaryDirectory() as place:
        for path, entry in wanted.items():
            if entry.blob not in blobs:
                return {"error": f"the host did not send {shown(path)}"}
            file = os.path.join(os.fsencode(place), path)
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "wb") as unpacked:
                unpacked.write(blobs[entry.blob])
        return chain(os.path.join(place, folder), folder)


def chain(place: str, folder: str) -> dict[str, Any]:
    """Read a chain of migrations, from base to head, without the app; `folder` is what errors call its place."""
    if not os.path.isdir(place):
        return {"error": f"there is no folder {folder}"}
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Alembic only warns of these, but its chain is then not the whole one.
            warnings.filterwarnings("error", message="Revision .* present")
            script = importlib.import_module("alembic.script").ScriptDirectory(place)
            revisions = list(script.walk_revisions())[::-1]
            return {"heads": list(script.get_heads()), "revisions": [described(revision) for revision in revisions]}
    except (Exception, SystemExit) as error:  # noqa: BLE001  (a revision file is code, and may raise anything)
        where = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError):
            where.append((error.filename or "", error.lineno))
        files = [f" ({file}, line {line})" for file, line in where if file.startswith(place)]
        message = error.msg if isinstance(error, SyntaxError) else one_line(error)
        return {"error": (message + (files or [""])[-1]).replace(place, folder)}


def described(revision: Any) -> dict[str, Any]:
    down = revision.down_revision or ()
    parents_ = [down] if isinstance(down, str) else list(down)
    return {"revision": revision.revision, "down": parents_, "doc": (revision.doc or "").split("\n")[0]}
