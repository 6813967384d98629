"""List the app's folder, as the host's git reads an index."""

from __future__ import annotations

import sys
from io import BufferedReader
from typing import Any

from deploy.inside.tree import BYTECODE, Tree


def listing(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Print the files with their modes and blobs, as `git update-index -z --index-info` takes them. Changes nothing.

    Left out is what an update spares, what Python makes by itself, and what git refuses to hear of. On stdin comes the
    length of the repository's ids.
    """
    tree = Tree(settings, int(stream.read() or 40))
    for _, paths in tree.walk():
        for path in paths:
            if tree.spares(path) or BYTECODE.search(path) or b".git" in path.lower().split(b"/"):
                continue
            entry = tree.entry(path)
            if entry and entry.mode:
                sys.stdout.buffer.write(f"{entry.mode} {entry.blob}\t".encode() + path + b"\0")
