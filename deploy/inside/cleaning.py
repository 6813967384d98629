"""Remove bytecode below the app's folder, and what lies in caches."""

from __future__ import annotations

import os
from io import BufferedReader
from typing import Any

from deploy.inside.record import read_record
from deploy.inside.tree import Tree, remove, within
from deploy.inside.wire import ExpectedError, counted, raw, say


def clean(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Remove bytecode below the app's folder, and the files in the cache folders."""
    tree = Tree(settings)
    record, _ = read_record(settings)
    tracked = record.paths if record else frozenset()
    kept = [os.path.realpath(tree.at(path)) for path in tree.protected]
    caches = {cache: os.path.realpath(raw(cache)).rstrip(b"/") for cache in settings["caches"]}
    for cache, place in caches.items():
        if within(tree.root, [place]) or within(place, kept) or any(within(path, [place]) for path in kept):
            raise ExpectedError(f"{cache} is not emptied as a cache: it holds the app, or protected files")
    folders = files = 0
    for folder, paths in tree.walk():
        if tree.mounted(folder):
            continue
        if os.path.basename(folder) == b"__pycache__":
            swept = tree.sweep(tree.at(folder), tracked)
            folders, files = folders + swept[0], files + swept[1]
        else:
            files += sum(remove(tree.at(path)) for path in paths if ours(tree, path) and path not in tracked)
    say(f"{counted(folders, '__pycache__ folder')} and {counted(files, '.pyc file')} removed")
    for cache, place in caches.items():
        if os.path.isdir(place):
            found = [os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names]
            say(f"{cache}: {counted(sum(map(remove, found)), 'file')} removed")


def ours(tree: Tree, path: bytes) -> bool:
    return path.endswith(b".pyc") and not tree.mounted(path)
