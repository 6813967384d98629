"""Remove bytecode below the app's folder, and what lies in caches."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterable, Iterator
from io import BufferedReader
from typing import Any

from deploy.inside.message import ExpectedError, counted, say
from deploy.inside.record import read_record
from deploy.inside.tree import BYTECODE, Tree, remove, within
from deploy.inside.wire import raw, shown


def clean(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Remove bytecode below the app's folder, and the files in the cache folders; what is left of it is an error."""
    tree = Tree(settings)
    record, _ = read_record(settings)
    tracked = record.paths if record else frozenset()
    kept = [os.path.realpath(tree.at(path)) for path in tree.protected]
    caches = {cache: os.path.realpath(raw(cache)).rstrip(b"/") for cache in settings["caches"]}
    for cache, place in caches.items():
        if within(tree.root, [place]) or within(place, kept) or any(within(path, [place]) for path in kept):
            raise ExpectedError("%s is not emptied as a cache: it holds the app, or protected files", cache)
    before = set(unwanted(tree, tracked, caches.values()))
    folders = files = 0
    for folder, paths in tree.walk():
        if tree.mounted(folder):
            continue
        if os.path.basename(folder) == b"__pycache__":
            swept = tree.sweep(tree.at(folder), tracked)
            folders, files = folders + swept[0], files + swept[1]
        else:
            files += sum(remove(tree.at(path)) for path in paths if ours(tree, path) and path not in tracked)
    gone = counted(folders, "%s __pycache__ folder", "%s __pycache__ folders")
    say("%s and %s removed", gone, counted(files, "%s .pyc file", "%s .pyc files"))
    for cache, place in caches.items():
        if os.path.isdir(place):
            found = [os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names]
            say("%s: %s removed", cache, counted(sum(map(remove, found)), "%s file", "%s files"))
    if left := sorted(file for file, *_ in before.intersection(unwanted(tree, tracked, caches.values()))):
        many = counted(len(left), "%s file", "%s files")
        raise ExpectedError("%s cannot be removed, first %s", many, shown(left[0]))


def unwanted(tree: Tree, tracked: Container[bytes], caches: Iterable[bytes]) -> Iterator[tuple[bytes, int, int]]:
    """Find what is to go. A file is known by more than its name: the app may write the same one anew meanwhile."""
    files = [
        tree.at(path)
        for folder, paths in tree.walk()
        if not tree.mounted(folder)
        for path in paths
        if path not in tracked and (ours(tree, path) or in_cache(path))
    ]
    for cache in caches:
        files += [os.path.join(folder, name) for folder, _, names in os.walk(cache, onerror=fail) for name in names]
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(file)
            yield file, status.st_ino, status.st_ctime_ns


def fail(error: OSError) -> None:
    """What cannot be listed is not empty; what is not there is."""
    if not isinstance(error, FileNotFoundError):
        raise error


def in_cache(path: bytes) -> bool:
    return os.path.basename(os.path.dirname(path)) == b"__pycache__" and BYTECODE.search(path) is not None


def ours(tree: Tree, path: bytes) -> bool:
    return path.endswith(b".pyc") and not tree.mounted(path)
