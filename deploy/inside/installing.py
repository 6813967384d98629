"""Bring files to their places elsewhere in the container, and back: written beside, checked in place, then applied."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
from io import BufferedReader
from typing import Any

from deploy.inside.elsewhere import bare, content_of, place_of, remember, rendered
from deploy.inside.message import ExpectedError, say
from deploy.inside.nginx import has_page, page_folder, with_page
from deploy.inside.programs import surroundings
from deploy.inside.record import read_json, remove_json, write_json
from deploy.inside.wire import blob_id, raw, shown, text

# What was there before a run: by path its bytes, mode and owner; nothing where there was none.
BEFORE = b"installed.json"
# Seconds that a check or what has a file read may take.
COMMAND_SECONDS = 60.0


def install(settings: dict[str, Any], _: BufferedReader) -> None:
    """Bring the named files of the copied commit to their places, those that lie there already left out.

    One that its check does not accept comes back at once with all others, before anybody has read it.
    """
    wanted = {name: new_contents(settings, settings["files"][name]) for name in settings["names"]}
    contents = {
        name: files
        for name, files in wanted.items()
        if not all(lies_there(settings, path, content) for path, content in files.items())
    }
    paths = [path for files in contents.values() for path in files]
    before = {text(path): kept(path) if os.path.exists(path) else {} for path in paths}
    write_json(raw(settings["record"]), BEFORE, {"run": settings["run"], "files": before, "applied": []})
    try:
        for name, files in contents.items():
            for path, content in files.items():
                put(path, as_there(settings, path, content), before.get(text(path)))
                say("%s := %s", shown(path), settings["files"][name]["source"])
            run(settings["files"][name]["check"])
    except (ExpectedError, OSError):
        restore(before)
        remove_json(settings, BEFORE)
        raise
    applied = [settings["files"][name]["apply"] for name in contents]
    write_json(raw(settings["record"]), BEFORE, {"run": settings["run"], "files": before, "applied": applied})
    for command in applied:
        run(command)
    digits = settings["digits"]
    blobs = {name: blob_id(next(iter(files.values())), digits) for name, files in contents.items()}
    remember(settings, blobs)


def uninstall(settings: dict[str, Any], _: BufferedReader) -> None:
    """Bring back what was there before the run, byte for byte, and have it read again."""
    before = read_json(settings, BEFORE)
    if before is None or before["run"] != settings["run"]:
        say("no file elsewhere was touched")
        return
    restore(before["files"])
    for path in before["files"]:
        say("%s is back", path)
    for command in before["applied"]:
        run(command)
    remove_json(settings, BEFORE)


def new_contents(settings: dict[str, Any], file: dict[str, Any]) -> dict[bytes, bytes]:
    """What is to lie where: the file itself, and what is rendered from it."""
    place = place_of(file)
    if place is None:
        raise ExpectedError("%s has no place in the container any more", file["source"])
    content = content_of(raw(os.path.join(settings["app"], file["source"])))
    found = {place.path: content}
    if place.rendered:
        found[place.rendered] = rendered(settings, file, content)
    return found


def lies_there(settings: dict[str, Any], path: bytes, content: bytes) -> bool:
    return os.path.exists(path) and bare(settings, path) == content


def as_there(settings: dict[str, Any], path: bytes, content: bytes) -> bytes:
    """Have a new site show the maintenance page where the old one does."""
    folder = page_folder(settings)
    return with_page(content, folder) if os.path.exists(path) and has_page(content_of(path), folder) else content


def kept(path: bytes) -> dict[str, Any]:
    status = os.stat(path)
    content = base64.b64encode(content_of(path)).decode("ascii")
    return {"content": content, "mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}


def put(path: bytes, content: bytes, like: dict[str, Any] | None) -> None:
    """Write it beside and move it in, as the old one was owned and protected."""
    beside = path + b".hot-update"
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if like:
        os.chown(beside, like["uid"], like["gid"])
    os.chmod(beside, like["mode"] if like else 0o644)
    os.replace(beside, path)


def restore(before: dict[str, Any]) -> None:
    for path, like in before.items():
        if like:
            put(raw(path), base64.b64decode(like["content"]), like)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(raw(path))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(raw(path) + b".hot-update")


def run(command: str) -> None:
    """Run a command of the settings in the surroundings of the container's first process."""
    if not command:
        return
    try:
        ended = subprocess.run(
            ["sh", "-c", command], env=surroundings(1), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, check=False, timeout=COMMAND_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ExpectedError("%s did not end within %s s", command, f"{COMMAND_SECONDS:.0f}") from None
    lines = ended.stdout.decode("utf-8", "backslashreplace").strip().splitlines()
    # Supervisor's own tool tells an error, and ends with 0.
    if ended.returncode or any(line.startswith("ERROR") for line in lines):
        why = lines[0] if lines else str(ended.returncode)
        raise ExpectedError("%s: %s", command, why)
