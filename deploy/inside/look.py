"""Tell what the container holds and runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import BufferedReader
from typing import Any

from deploy.inside.builds import built
from deploy.inside.chain import present_chain, target_chain
from deploy.inside.elsewhere import placed
from deploy.inside.maintaining import page
from deploy.inside.message import message
from deploy.inside.processes import commands, free_memory
from deploy.inside.record import Record, ask_entries, damaged, read_record, record_sum, trust
from deploy.inside.survey import Survey
from deploy.inside.tree import Tree, free_bytes, within
from deploy.inside.wire import MIB, Blobs, Entry, answer, ask_no_more, digits_of, file_id, one_line, text

# What stands under these names the host decides on: ids, numbers, paths. Every other string is text.
FACTS = frozenset(
    (
        "revision",
        "record_sum",
        "complete",
        "run",
        "at",
        "overridden",
        "owner",
        "drift",
        "heads",
        "down",
        "depends",
        "differs",
        "id",
        "config",
        "place",
        "template",
        "built",
        "damaged",
        "mounted",
        "readonly",
        "lacks",
    )
)
# As the kernel numbers them: to own and change others' files, to signal their processes, to act as they do.
CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7}


def inspect(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Print what the container holds and runs: its facts as one JSON object, then a line for each text in them.

    Changes nothing. Secrets are taken out of the texts on the host; the facts refer to them by number, from 0.

    The host may still be asking the remote for what it is asked: the target's entries, the blobs of its migrations.
    """
    record, record_problem = read_record(settings)
    tree = Tree(settings, digits_of(record.manifest.values() if record else ()))
    trust(tree, record)
    tree.look(record.manifest if record else ())
    facts = ("revision", "complete", "run", "at", "overridden")
    survey = Survey(settings)
    found, problems = answers(
        {
            "record": lambda: record and {name: record.facts.get(name) for name in facts},
            "record_sum": lambda: record_sum(settings),
            "record_problem": lambda: record_problem,
            "damaged": lambda: damaged(settings),
            "owner": lambda: "{}:{}".format(*tree.owner()),
            "lacks": lacking,
            "readonly": lambda: readonly(settings),
            "free_mib": lambda: free_bytes(tree) // MIB,
            "drift": lambda: drift(tree, record),
            "worker_mib": lambda: survey.worker_mib,
            "memory_mib": free_memory,
            "built": lambda: built(settings),
            "page": lambda: page(settings),
            "migrating": lambda: commands([settings["flask"], "db"]),
            "chain": lambda: present_chain(settings, tree),
        }
    )
    entries = ask_entries(settings, tree, record, stream)
    # The host may have been asking the remote meanwhile.
    tree.look(entries)
    tree.digits = digits_of(entries.values()) if entries else tree.digits
    blobs = Blobs(stream)
    more, further = answers(
        {
            "target_chain": lambda: target_chain(settings, tree, entries, blobs) if entries else None,
            "differs": lambda: differs(tree, entries),
            "mounted": lambda: mounted(tree, entries, record),
            "files": lambda: placed(settings, tree, entries, blobs),
            "programs": lambda: survey.facts(record),
        }
    )
    ask_no_more()
    texts: list[str] = []
    answer(json.dumps(facts_in({**found, **more, "problems": problems + further}, texts)))
    for line in texts:
        answer(line)


def facts_in(found: Any, texts: list[str]) -> Any:
    """Move the texts out of what was found, and leave their numbers there."""
    if isinstance(found, dict):
        return {name: below if name in FACTS else facts_in(below, texts) for name, below in found.items()}
    if isinstance(found, list):
        return [facts_in(below, texts) for below in found]
    if not isinstance(found, str):
        return found
    texts.append(" ".join(found.splitlines()))
    # No path begins like this.
    return {"/text": len(texts) - 1}


def answers(parts: dict[str, Callable[[], Any]]) -> tuple[dict[str, Any], list[str]]:
    """Answer each part; one that cannot be read must not hide the others, and is reported."""
    found: dict[str, Any] = {}
    problems = []
    for name, part in parts.items():
        try:
            found[name] = part()
        except Exception as error:  # noqa: BLE001
            found[name] = None
            problems.append(message("%s: %s", name, one_line(error)))
    return found, problems


def drift(tree: Tree, record: Record | None) -> list[str]:
    if record is None or not record.complete:
        return []
    recorded = record.manifest.items()
    watched = {path: entry for path, entry in recorded if not tree.spares(path) and path not in tree.derived}
    # A derived file may differ, but the app does not start without it.
    missing = {path for path in record.derived if not os.path.lexists(tree.at(path))}
    return [text(path) for path in sorted(missing | {path for path in watched if tree.entry(path) != watched[path]})]


def followed_id(file: bytes, digits: int) -> str | None:
    """Name the bytes that whoever opens a file reads; None: there is no such file."""
    return file_id(file, digits, flags=0) if os.path.isfile(file) else None


def differs(tree: Tree, entries: dict[bytes, Entry]) -> dict[str, str | None]:
    """Name the files that have other bytes than the commit wants, with the blob that is there instead."""
    here = {path: tree.entry(path) for path in entries}
    blobs = {path: (found and found.blob) or None for path, found in here.items()}
    return {text(path): blob for path, blob in blobs.items() if blob != entries[path].blob}


def lacking() -> list[str]:
    """Name the capabilities that root has not got here, of those that it needs where the code is not its own."""
    with open("/proc/self/status", encoding="ascii") as stream:
        effective = next(int(line.split()[1], 16) for line in stream if line.startswith("CapEff:"))
    return [name for name, number in CAPABILITIES.items() if not effective >> number & 1]


def readonly(settings: dict[str, Any]) -> list[str]:
    """Name the folders that an update writes into and that lie on a filesystem where nobody can."""
    found = []
    for folder in (settings["app"], settings["record"]):
        there = folder
        while not os.path.isdir(there):
            there = os.path.dirname(there)
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            found.append(folder)
    return found


def mounted(tree: Tree, entries: dict[bytes, Entry], record: Record | None) -> dict[str, list[str]]:
    """Name, by what is mounted into the app's folder, the files in it that a copy of the commit would have to touch."""
    former = record.paths - entries.keys() if record and entries else frozenset()
    gone = [path for path in former if not tree.spares(path) and tree.entry(path)]
    here = [path for path in entries if tree.mounted(path) and tree.entry(path) != entries[path]]
    touched = sorted(here + [path for path in gone if tree.mounted(path)])
    found = {mount: [text(path) for path in touched if within(path, [mount])] for mount in tree.mounts}
    return {text(mount): paths for mount, paths in found.items() if paths}
