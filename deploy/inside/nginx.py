"""The lines by which an Nginx site shows the maintenance page: put into it, and taken out again byte for byte."""

from __future__ import annotations

import os
import re
from typing import Any

from deploy.inside.wire import raw

_SERVER = re.compile(rb"^(?:[^#\n]*[;{}])?[ \t]*server\s*\{", re.MULTILINE)


def page_folder(settings: dict[str, Any]) -> bytes:
    """Name the folder of the page, and of what makes Nginx show it."""
    return os.path.join(raw(settings["record"]), b"maintenance")


def lines(folder: bytes) -> tuple[bytes, bytes]:
    """Give what stands before the whole site, and what follows the beginning of each server.

    A pattern, since Nginx starts where that matches nothing, though not where a file is lacking.
    """
    return b'include "%s/http.con[f]";\n' % folder, b'\n    include "%s/server.con[f]";' % folder


def with_page(site: bytes, folder: bytes) -> bytes:
    """Put the lines in; a site without a server stays as it is."""
    before, within = lines(folder)
    held, servers = _SERVER.subn(lambda found: found[0] + within, without_page(site, folder))
    return before + held if servers else site


def without_page(site: bytes, folder: bytes) -> bytes:
    """Take the lines out; whatever else was changed meanwhile stays."""
    for line in lines(folder):
        site = site.replace(line, b"")
    return site


def has_page(site: bytes, folder: bytes) -> bool:
    return site != without_page(site, folder)
