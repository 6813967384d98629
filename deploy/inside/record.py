"""What the container remembers of the last copy, outside of the app's folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from io import BufferedReader
from typing import Any, NamedTuple

from deploy.inside.message import ExpectedError, message
from deploy.inside.tree import Tree
from deploy.inside.wire import Entry, ask, digits_of, one_line, raw, read_entries

# What each of our files has at least, and of which kind; newer versions may write more. A damaged one counts as none.
NUMBER = (int, float)
PATHS = [str]
# Of each: numbers, with at least these, what it told of its settings, and which of its processes run no code.
MASTERS = ["started", "workers", "at"]
ASKED = {"told": dict, "file": list}
# What is known of a built folder, and what was shipped to it.
BUILDS = {"digest": str, "files": PATHS, "left": dict}
SHIPMENTS = {"saved": PATHS, "added": PATHS}
SHAPES: dict[bytes, dict[str, Any]] = {
    b"before.json": {"run": str, "began": NUMBER, "saved": PATHS, "added": PATHS, "folders": dict},
    b"built.json": {"builds": BUILDS},
    b"chains.json": {},
    b"files.json": {},
    b"installed.json": {"run": str, "files": dict, "applied": list},
    b"laid.json": {},
    b"rolled.json": {"started": NUMBER, "workers": int, "at": NUMBER},
    b"rolls.json": {"masters": MASTERS},
    b"rolling.json": {"started": NUMBER, "workers": int},
    b"shipped.json": {"run": str, "builds": SHIPMENTS},
    b"tree.json": {"revision": str, "whole": bool},
    b"undone.json": {"boot_id": str, "from": NUMBER, "to": NUMBER},
    b"work.json": {"revision": str, "entries": dict, "write": PATHS, "clear": PATHS, "remove": PATHS, "had": dict},
}
# More workers than any master has.
MANY = 10_000


class Record(NamedTuple):
    """What the container remembers of its last update; `paths` are those that it wrote or may have written."""

    facts: dict[str, Any]
    manifest: dict[bytes, Entry]
    paths: frozenset[bytes]
    derived: dict[bytes, str]
    # The files of the manifest as the copy left them.
    signatures: dict[bytes, list[int]]

    @property
    def complete(self) -> bool:
        """Tell whether the update came to its end."""
        return bool(self.facts["complete"])


def trust(tree: Tree, record: Record | None) -> None:
    """Spare the tree the reading of what is still as the last copy left it."""
    if record and record.complete:
        tree.known = {path: (found, record.manifest[path]) for path, found in record.signatures.items()}


def rules(settings: dict[str, Any]) -> list[list[str]]:
    """Say what decides which of a commit's files are copied."""
    return [settings["protected"], settings.get("exclude", []), ["submodules"]]


def ask_entries(
    settings: dict[str, Any], tree: Tree, record: Record | None, stream: BufferedReader
) -> dict[bytes, Entry]:
    """Ask for a commit's files: as a difference to those of the last copy, where that copied by the same rules."""
    known = record and record.complete and record.facts.get("rules") == rules(settings)
    ask(record.facts["revision"] if record and known else "")
    entries = read_entries(stream, record.manifest if record and known else {})
    return {path: entry for path, entry in entries.items() if not tree.spares(path)}


def write_json(folder: bytes, name: bytes, content: dict[str, Any]) -> None:
    write_whole(folder, name, json.dumps(content).encode("ascii"))


def write_whole(folder: bytes, name: bytes, content: bytes) -> None:
    """Write a file of ours in one instant, to be there after a crash too."""
    temporary = os.path.join(folder, name + b".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, os.path.join(folder, name))
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def record_sum(settings: dict[str, Any]) -> str:
    """Give the record's digest, as the host takes it to see whether that changed; nothing where there is none."""
    with (
        contextlib.suppress(FileNotFoundError),
        open(os.path.join(raw(settings["record"]), b"record.json"), "rb") as stream,
    ):
        return hashlib.sha256(stream.read()).hexdigest()
    return ""


def read_record(settings: dict[str, Any]) -> tuple[Record | None, str | None]:
    """Read the record, or None and what is wrong with it."""
    try:
        with open(os.path.join(raw(settings["record"]), b"record.json"), "rb") as stream:
            facts = json.load(stream)
        manifest = {raw(inner(path)): entry_of(entry) for path, entry in facts.get("manifest", {}).items()}
        paths = frozenset(manifest).union(raw(inner(path)) for path in facts.get("paths", []))
        derived = {raw(path): str(blob) for path, blob in facts.get("derived", {}).items()}
        signatures = {raw(path): found for path, found in facts.get("signatures", {}).items()}
        if not manifest.keys() >= signatures.keys():
            raise ValueError(message("signatures of files that it does not name"))
        if not is_record(facts):
            raise TypeError(message("not a record"))
        return Record(facts, manifest, paths, derived, signatures), None
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        return None, message("the record in %s cannot be read: %s", settings["record"], one_line(error))


def is_record(facts: dict[str, Any]) -> bool:
    """Tell whether these are facts of a copy; of one that came to its end, when that was too."""
    named = all(isinstance(facts[name], str) for name in ("revision", "run", "boot_id"))
    return named and isinstance(facts["complete"], bool) and (not facts["complete"] or is_kind(facts["uptime"], NUMBER))


def entry_of(told: list[str]) -> Entry:
    mode, blob = told
    if not isinstance(mode, str) or not isinstance(blob, str):
        raise TypeError(message("not a file of git's"))
    return Entry(mode, blob)


def inner(path: str) -> str:
    """Give a path that stays in its folder, as all of git's do."""
    if {"", ".", ".."} & set(path.split("/")):
        raise ValueError(message("a path that leads elsewhere"))
    return path


def read_json(settings: dict[str, Any], name: bytes) -> dict[str, Any] | None:
    """Read a file of ours in the record's folder; None where there is none, or a damaged one."""
    try:
        with open(os.path.join(raw(settings["record"]), name), "rb") as stream:
            content = json.load(stream)
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return content if has_shape(content, SHAPES[name]) and 0 < content.get("workers", 1) < MANY else None


def has_shape(content: Any, shape: dict[str, Any]) -> bool:
    return isinstance(content, dict) and all(is_kind(content.get(key), kind) for key, kind in shape.items())


def is_kind(value: Any, kind: Any) -> bool:
    if kind in (BUILDS, SHIPMENTS):
        return isinstance(value, dict) and all(is_inner(name) and has_shape(one, kind) for name, one in value.items())
    if kind is PATHS:
        return isinstance(value, list) and all(isinstance(one, str) and is_inner(one) for one in value)
    if kind is MASTERS:
        return isinstance(value, list) and all(isinstance(one, dict) and is_master(one) for one in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind) and (not isinstance(value, float) or math.isfinite(value))


def is_master(facts: dict[str, Any]) -> bool:
    asked = facts.get("asked")
    if asked is not None and not (has_shape(asked, ASKED) and has_shape(asked["told"], {"workers": int})):
        return False
    apart = facts.get("apart", [])
    if not isinstance(apart, list) or not all(is_kind(pid, int) for pid in apart):
        return False
    numbers = {*MASTERS, *facts} - {"asked", "apart"}
    return all(is_kind(facts.get(name), NUMBER) for name in numbers) and 0 < facts["workers"] < MANY


def is_inner(path: str) -> bool:
    with contextlib.suppress(ValueError):
        return inner(path) == path
    return False


def damaged(settings: dict[str, Any]) -> list[str]:
    """Name our files that are there and cannot be understood."""
    bad = [name for name in SHAPES if is_damaged(settings, name)]
    record = ["record.json"] if read_record(settings)[1] else []
    return [os.path.join(settings["record"], name) for name in [*record, *(name.decode() for name in bad)]]


def is_damaged(settings: dict[str, Any], name: bytes) -> bool:
    """Tell whether a file of ours is there and cannot be understood."""
    return os.path.lexists(os.path.join(raw(settings["record"]), name)) and read_json(settings, name) is None


def put_aside(settings: dict[str, Any], name: bytes) -> None:
    """Keep what is damaged under another name, for who wants to look at it."""
    file = os.path.join(raw(settings["record"]), name)
    with contextlib.suppress(FileNotFoundError):
        os.replace(file, file + b".damaged")


def remove_json(settings: dict[str, Any], name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(raw(settings["record"]), name))


def read_work(settings: dict[str, Any]) -> tuple[Tree, dict[str, Any], dict[bytes, Entry]]:
    """Read what scan worked out: the app's folder, the work, and the entries of the commit."""
    work = read_json(settings, b"work.json")
    if work is None:
        raise ExpectedError("nothing was scanned before")
    if work["revision"] != settings["revision"]:
        raise ExpectedError("scanned was %s, not %s", work["revision"], settings["revision"])
    entries = {raw(inner(path)): entry_of(entry) for path, entry in work["entries"].items()}
    return Tree(settings, digits_of(entries.values())), work, entries


def first_line(file: str) -> str:
    with open(file, encoding="ascii") as stream:
        return stream.readline().strip()


def boot_id() -> str:
    return first_line("/proc/sys/kernel/random/boot_id")


def uptime() -> float:
    return float(first_line("/proc/uptime").split()[0])
