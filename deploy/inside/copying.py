"""Make the app's folder equal to a commit.

`scan` works out what to do, `save` keeps what git does not know, `stage` builds the new files, `apply` moves them in.
`bring` does all of them but `save` in one go.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import tarfile
import time
from collections.abc import Container, Iterable
from io import BufferedReader
from typing import Any

from deploy.inside.before import keep
from deploy.inside.builds import remember_sources
from deploy.inside.elsewhere import remember_unedited
from deploy.inside.look import followed_id
from deploy.inside.message import LIST, ExpectedError, counted, message, say
from deploy.inside.pace import Pace, amount
from deploy.inside.record import (
    Record,
    ask_entries,
    boot_id,
    put_aside,
    read_record,
    read_work,
    remove_json,
    rules,
    trust,
    uptime,
    write_json,
)
from deploy.inside.staging import claim, discard, is_staged, stage
from deploy.inside.tree import PERMISSIONS, Tree, remove, signature
from deploy.inside.wire import (
    FILE,
    Entry,
    answer,
    ask,
    ask_no_more,
    digits_of,
    fields,
    raw,
    shown,
    text,
)


def bring(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Scan and tell the host what was found; stage what it sends then, and apply where it says so."""
    for line in work_out(settings, stream):
        answer(line)
    ask("")
    told = stream.readline()
    if not told.endswith(b"\n"):
        raise ExpectedError("the list of files was cut off on its way into the container")
    ask_no_more()
    settings = {**settings, **json.loads(told)}
    stage(settings, stream)
    if settings["apply"]:
        apply(settings, stream)


def scan(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Work out what apply has to do, keep it, and print it."""
    lines = work_out(settings, stream)
    ask_no_more()
    for line in lines:
        answer(line)


def work_out(settings: dict[str, Any], stream: BufferedReader) -> list[str]:
    """Work out what apply has to do, keep it, and say which blobs that needs and which it does away with.

    Told as `made` are those of the derived files: apply has to be told which of them git knows.
    """
    tree = Tree(settings)
    record, _ = read_record(settings)
    entries = ask_entries(settings, tree, record, stream)
    history = set(fields(stream))
    if not entries:
        raise ExpectedError("the commit has no files")
    tree.digits = digits_of(entries.values())
    complete = record is not None and record.complete
    if settings.get("recorded") and not complete:
        raise ExpectedError("the container was recreated since the plan was made: nothing is copied into it")
    trust(tree, record)
    tree.look([*entries, *(record.paths if record else ())])
    owner = tree.owner()
    # What an image has was not left there by a copy.
    certain = complete or settings.get("fresh") is True
    write, compared = [], Pace(message("compared"), len(entries))
    for path in entries:
        if wanting(tree, path, entries[path], owner, certain):
            write.append(path)
        compared.count()
    clear = list(dict.fromkeys(obstacle for path in write for obstacle in tree.in_the_way(path)))
    former = (record.paths if record else set()) | (set() if complete else history)
    gone = set[bytes]() if tree.clone else former - set(entries) - set(clear) - set(tree.derived)
    found = {path: tree.entry(path) for path in [*write, *clear, *gone] if not tree.spares(path)}
    had = {path: entry for path, entry in found.items() if entry and entry.mode}
    refuse_mounted(tree, [*write, *clear, *(gone & set(had))])
    work = {
        "revision": settings["revision"],
        "entries": {text(path): entry for path, entry in entries.items()},
        "write": [text(path) for path in write],
        "clear": [text(path) for path in clear],
        "remove": sorted(text(path) for path in gone & set(had)),
        "had": {text(path): entry.blob for path, entry in had.items()},
        "unknown": [],
        # Derived files with the bytes of the source beside them: whatever history knows, nobody changed these.
        "alike": [have for path, source in tree.derived.items() if (have := alike(tree, path, source))],
    }
    write_json(raw(settings["record"]), b"work.json", work)
    need = [] if is_staged(settings) else sorted({entries[path].blob for path in write})
    made = filter(None, (followed_id(tree.at(path), tree.digits) for path in tree.derived))
    return [
        *(f"need {blob}" for blob in need),
        *(f"had {blob}" for blob in sorted({entry.blob for entry in had.values()})),
        *(f"made {blob}" for blob in made),
    ]


def wanting(tree: Tree, path: bytes, entry: Entry, owner: tuple[int, int], certain: bool) -> bool:
    """Tell whether a file has to be written; all of them, where it is unknown what a copy left, but for mounts."""
    return not (certain or tree.mounted(path)) or not tree.equals(path, entry, owner)


def refuse_mounted(tree: Tree, paths: list[bytes]) -> None:
    """Refuse before anything is changed: a mount cannot be replaced, and what lies in one is not the container's."""
    taken = sorted(filter(tree.mounted, paths))
    if taken:
        raise ExpectedError("mounted into the container, and so not to be changed: %s", first_of(map(shown, taken)))


def first_of(names: Iterable[str]) -> str:
    return message(LIST, *itertools.islice(names, 5))


def save(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Send, as a tar, the files that apply does away with and whose blobs git does not know."""
    tree, work, _ = read_work(settings)
    unknown = set(stream.read().decode("ascii").split())
    write_json(raw(settings["record"]), b"work.json", {**work, "unknown": sorted(unknown)})
    with tarfile.open(
        fileobj=sys.stdout.buffer, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for path in sorted(path for path, blob in work["had"].items() if blob in unknown):
            with contextlib.suppress(FileNotFoundError):
                tar.add(os.fsdecode(tree.at(raw(path))), arcname=path, recursive=False)


def apply(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Make the app's folder equal to the scanned and staged commit; only a complete copy leaves a complete record."""
    tree, work, entries = read_work(settings)
    (staged, whole), owner = claim(settings, work["revision"]), tree.owner()
    record, problem = read_record(settings)
    if problem:
        put_aside(settings, b"record.json")
    trust(tree, record)
    keep(settings, tree, work, record)
    remember_unedited(settings, tree)
    remember_sources(settings, work)
    folder = raw(settings["record"])
    facts = {"revision": work["revision"], "run": settings["run"], "boot_id": boot_id()}
    # A killed copy may have written files of this commit too: the next one has to know all of these.
    paths = sorted(map(text, (record.paths if record else frozenset()).union(entries)))
    write_json(folder, b"record.json", {**facts, "complete": False, "at": int(time.time()), "paths": paths})

    tree.remove_temporaries(entries)
    for path in map(raw, work["clear"]):
        remove(tree.at(path))
    moved = Pace(message("moved in"), len(work["write"]))
    for path in map(raw, work["write"]):
        size = os.lstat(staged.at(path)).st_size
        if work["had"].get(text(path)) == entries[path].blob:
            # The same bytes: who goes by its age, such as a server by its settings, has read these already.
            before = os.lstat(tree.at(path)).st_mtime_ns
            os.utime(staged.at(path), ns=(before, before), follow_symlinks=False)
        tree.take(staged, path, entries[path].mode, owner)
        moved.count(size)
    removed = [path for path in map(raw, work["remove"]) if tree.status(path) and remove(tree.at(path))]
    for path in removed:
        tree.prune(path, entries)
    derived, lines = derive(tree, settings, [*settings["known"], *work["alike"]], record, entries, owner)
    # Before the files are read: one that is changed meanwhile has another signature then.
    tree.look(entries)
    signatures = {text(path): signature(status) for path in entries if (status := tree.status(path))}
    wrong, checked = [], Pace(message("checked"), len(entries))
    for path, entry in entries.items():
        if not tree.equals(path, entry, owner):
            wrong.append(shown(path))
        checked.count()
    if wrong:
        many = counted(len(wrong), "%s file", "%s files")
        raise ExpectedError("after the copy %s not as in the commit: %s", many, first_of(wrong))

    manifest = {text(path): entry for path, entry in entries.items()}
    done = {"complete": True, "uptime": uptime(), "at": int(time.time()), "overridden": settings["overridden"]}
    done["rules"] = rules(settings)
    write_json(
        folder, b"record.json", {**facts, **done, "manifest": manifest, "signatures": signatures, "derived": derived}
    )
    remove_json(settings, b"work.json")
    if not whole:
        discard(settings)

    cleared = len(set(work["clear"]) & set(work["had"]))
    written, unchanged = counted(len(work["write"]), "%s file", "%s files"), len(entries) - len(work["write"])
    say("%s written (%s), %s removed, %s unchanged", written, amount(moved.size), len(removed) + cleared, unchanged)
    for path in sorted(path for path, blob in work["had"].items() if blob in work["unknown"]):
        say("saved: %s (git does not know its content)", shown(raw(path)))
    for line in lines:
        answer(line)


def alike(tree: Tree, path: bytes, source: bytes) -> str | None:
    """Name the bytes that a derived file and its source have in common."""
    have = followed_id(tree.at(path), tree.digits)
    return have if have == followed_id(tree.at(source), tree.digits) else None


def derive(
    tree: Tree,
    settings: dict[str, Any],
    known: list[str],
    record: Record | None,
    tracked: Container[bytes],
    owner: tuple[int, int],
) -> tuple[dict[str, str], list[str]]:
    """Make or refresh the files made from a tracked one, unless changed by hand: their blobs, and what was done."""
    made, lines = {}, []
    for path, source in tree.derived.items():
        want = followed_id(tree.at(source), tree.digits)
        if want is None or path in tracked or tree.spares(path):
            continue
        made[text(path)] = want
        have = followed_id(tree.at(path), tree.digits)
        if have == want:
            continue
        if tree.mounted(path):
            lines.append(message("kept: %s is mounted into the container", shown(path)))
            continue
        before = tree.entry(path)
        ours = before and before.mode in PERMISSIONS and have in {*known, record.derived.get(path) if record else None}
        if tree.blocker(path) or (before and not ours):
            lines.append(
                message("kept: %s may have been changed by hand: the clone's history is cut off", shown(path))
                if settings.get("shallow")
                else message("kept: %s was changed by hand", shown(path))
            )
            continue
        with open(tree.at(source), "rb") as stream:
            tree.write(path, FILE, stream.read(), owner)
        lines.append(
            message("refreshed: %s from %s", shown(path), shown(source))
            if before
            else message("made: %s from %s", shown(path), shown(source))
        )
    return made, lines
