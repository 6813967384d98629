"""What the container remembers of the last copy, outside of the app's folder."""

from __future__ import annotations

import contextlib
import json
import os
from io import BufferedReader
from typing import Any, NamedTuple

from deploy.inside.tree import Tree
from deploy.inside.wire import Entry, ExpectedError, ask, digits_of, one_line, raw, read_entries


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
    return [settings["protected"], settings.get("exclude", [])]


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


def read_record(settings: dict[str, Any]) -> tuple[Record | None, str | None]:
    """Read the record, or None and what is wrong with it."""
    try:
        with open(os.path.join(raw(settings["record"]), b"record.json"), "rb") as stream:
            facts = json.load(stream)
        manifest = {raw(path): Entry(*entry) for path, entry in facts.get("manifest", {}).items()}
        paths = frozenset(manifest).union(map(raw, facts.get("paths", [])))
        derived = {raw(path): str(blob) for path, blob in facts.get("derived", {}).items()}
        signatures = {raw(path): found for path, found in facts.get("signatures", {}).items()}
        if not isinstance(facts["revision"], str) or not isinstance(facts["complete"], bool):
            raise TypeError("not a record")
        return Record(facts, manifest, paths, derived, signatures), None
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        return None, f"the record in {settings['record']} cannot be read: {one_line(error)}"


def read_json(settings: dict[str, Any], name: bytes) -> dict[str, Any] | None:
    """Read a file of ours in the record's folder; None where there is none."""
    try:
        with open(os.path.join(raw(settings["record"]), name), "rb") as stream:
            content: dict[str, Any] = json.load(stream)
            return content
    except FileNotFoundError:
        return None


def remove_json(settings: dict[str, Any], name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(raw(settings["record"]), name))


def read_work(settings: dict[str, Any]) -> tuple[Tree, dict[str, Any], dict[bytes, Entry]]:
    """Read what scan worked out: the app's folder, the work, and the entries of the commit."""
    work = read_json(settings, b"work.json")
    if work is None:
        raise ExpectedError("nothing was scanned before")
    if work["revision"] != settings["revision"]:
        raise ExpectedError(f"scanned was {work['revision']}, not {settings['revision']}")
    entries = {raw(path): Entry(*entry) for path, entry in work["entries"].items()}
    return Tree(settings, digits_of(entries.values())), work, entries


def first_line(file: str) -> str:
    with open(file, encoding="ascii") as stream:
        return stream.readline().strip()


def boot_id() -> str:
    return first_line("/proc/sys/kernel/random/boot_id")


def uptime() -> float:
    return float(first_line("/proc/uptime").split()[0])
