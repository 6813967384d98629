"""Put the maintenance page before the app, and take it away: written beside, checked in place, then read by Nginx."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from io import BufferedReader
from typing import Any

from deploy.inside.elsewhere import Place, content_of, place_of
from deploy.inside.installing import kept, put, restore, run
from deploy.inside.message import ExpectedError, say
from deploy.inside.nginx import has_page, page_folder, with_page, without_page
from deploy.inside.processes import all_processes
from deploy.inside.wire import raw, text

# As Nginx calls those of its workers that take requests; others finish those that they have.
WORKER = b"nginx: worker process"
# Seconds within which new ones take over, and between two looks.
PATIENCE, PAUSE = 10.0, 0.02


def page(settings: dict[str, Any]) -> dict[str, Any] | None:
    """Tell where the site lies that shows the page, and whether it does; nothing where no site lies there."""
    file = settings["files"].get(settings["site"])
    place = place_of(file) if file else None
    if place is None:
        return None
    site, template = (place.rendered, place.path) if place.rendered else (place.path, b"")
    on = any(has_page(content_of(path), page_folder(settings)) for path in of(place))
    return {"place": text(site), "template": text(template), "on": on}


def maintain(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Have Nginx show the page that comes on stdin; what its check does not accept comes back at once."""
    folder, found = page_folder(settings), page(settings)
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)
    put(os.path.join(folder, b"hot-update-maintenance.html"), stream.read(), None)
    for name, content in settings["configuration"].items():
        put(os.path.join(folder, raw(name)), raw(content), None)
    try:
        change(settings, lambda site: shown_by(site, folder))
    except (ExpectedError, OSError):
        if not (found and found["on"]):
            shutil.rmtree(folder)
        raise


def unmaintain(settings: dict[str, Any], _: BufferedReader) -> None:
    """Have the site as it was; harmless where it shows no page."""
    folder = page_folder(settings)
    found = page(settings)
    if found and found["on"]:
        change(settings, lambda site: without_page(site, folder))
    else:
        say("the maintenance page was not there")
    shutil.rmtree(folder, ignore_errors=True)


def change(settings: dict[str, Any], changed: Callable[[bytes], bytes]) -> None:
    """Change the site, and the template that the container renders it from when it starts."""
    file = settings["files"][settings["site"]]
    place = place_of(file)
    if place is None:
        raise ExpectedError("%s has no place in the container any more", file["source"])
    before = {text(path): kept(path) for path in of(place)}
    contents = {path: changed(content_of(path)) for path in of(place)}
    old = workers()
    try:
        for path, content in contents.items():
            put(path, content, before[text(path)])
        run(file["check"])
        run(file["apply"])
    except (ExpectedError, OSError):
        restore(before)
        raise
    await_successors(old)


def shown_by(site: bytes, folder: bytes) -> bytes:
    showing = with_page(site, folder)
    if not has_page(showing, folder):
        raise ExpectedError("the Nginx site has no server")
    return showing


def of(place: Place) -> list[bytes]:
    return [path for path in (place.path, place.rendered) if path and os.path.exists(path)]


def workers() -> set[int]:
    return {pid for pid, process in all_processes().items() if process.argv[0] == WORKER}


def await_successors(old: set[int]) -> None:
    """Wait until none of the old workers takes requests any more: a reload is over before it is done."""
    deadline = time.monotonic() + PATIENCE
    while old & workers() and time.monotonic() < deadline:
        time.sleep(PAUSE)
