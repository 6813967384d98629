"""What is mounted into a folder from outside of the container's own files: it belongs to whoever mounted it."""

from __future__ import annotations

import re

TABLE = "/proc/self/mountinfo"


def mounts(root: bytes) -> list[bytes]:
    """Name what is mounted below a folder, files too, relative to it."""
    above = root.rstrip(b"/") + b"/"
    return sorted(point[len(above) :] for point in points() if point.startswith(above) and point != above)


def is_mount(folder: bytes) -> bool:
    """Tell whether a folder itself is mounted."""
    return folder.rstrip(b"/") in points()


def points() -> set[bytes]:
    with open(TABLE, "rb") as stream:
        return {unescaped(line.split(b" ")[4]) for line in stream}


def unescaped(word: bytes) -> bytes:
    """Read a path as the kernel writes it: blanks and backslashes in octal."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), word)
