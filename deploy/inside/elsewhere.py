"""Files of a commit that have their place elsewhere in the container: how these are, beside what is wanted there."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
from typing import Any, NamedTuple

from deploy.inside.nginx import page_folder, without_page
from deploy.inside.processes import environment_of
from deploy.inside.record import read_json, write_json
from deploy.inside.tree import Tree
from deploy.inside.wire import Blobs, Entry, blob_id, raw, text

# By its name, the blob of each that a run of ours left, and so nobody wrote by hand.
OURS = b"files.json"
_VARIABLE = re.compile(rb"\$(?:\{(\w+)\}|(\w+))")
_PROGRAM = ("program:", "group:", "fcgi-program:", "eventlistener:")


class Place(NamedTuple):
    """Where a file lies; of a template also what is rendered from it."""

    path: bytes
    rendered: bytes


def place_of(file: dict[str, Any]) -> Place | None:
    """Find it: the first of its places that is there, and what a link leads to."""
    for path, rendered in file["places"]:
        if os.path.exists(path):
            return Place(os.path.realpath(raw(path)), os.path.realpath(raw(rendered)) if rendered else b"")
    return None


def placed(settings: dict[str, Any], tree: Tree, entries: dict[bytes, Entry], blobs: Blobs) -> dict[str, Any]:
    """Tell of each file that the commit has and that lies there: does it differ, was it edited, is it the copy's?"""
    found = {}
    for name, file in settings["files"].items():
        place, wanted = place_of(file), entries.get(raw(file["source"]))
        if place is None or wanted is None:
            continue
        here = bare(settings, place.path)
        have = blob_id(here, tree.digits)
        edited = have not in {wanted.blob, *known(settings, tree, name, file)} or is_edited(settings, file, place, here)
        source = tree.entry(raw(file["source"]))
        current = not edited and source is not None and have == source.blob
        told: dict[str, Any] = {
            "place": text(place.path),
            "differs": have != wanted.blob,
            "edited": edited,
            "current": current,
        }
        if told["differs"] and "supervisorctl" in file["apply"]:
            blobs.fetch({wanted.blob: raw(file["source"])})
            told.update(programs_between(here, blobs.content[wanted.blob]))
        found[name] = told
    return found


def known(settings: dict[str, Any], tree: Tree, name: str, file: dict[str, Any]) -> set[str]:
    """The blobs that are no edit: what a run left there, and the source as the last copy or the image has it."""
    ours = read_json(settings, OURS) or {}
    source = tree.entry(raw(file["source"]))
    return {str(ours.get(name, "")), source.blob if source else ""}


def is_edited(settings: dict[str, Any], file: dict[str, Any], place: Place, template: bytes) -> bool:
    """Was what is rendered from a template changed by hand?"""
    return bool(place.rendered) and bare(settings, place.rendered) != rendered(settings, file, template)


def rendered(settings: dict[str, Any], file: dict[str, Any], template: bytes) -> bytes:
    """Put the variables into a template as envsubst does: those that are named, and no other."""
    variables = values(settings, file["render"])

    def put(found: re.Match[bytes]) -> bytes:
        return variables.get(found[1] or found[2], found[0])

    return _VARIABLE.sub(put, template)


def values(settings: dict[str, Any], defaults: dict[str, str]) -> dict[bytes, bytes]:
    """Their values: of the first process of the container, else of the env file there, else what the settings say.

    An empty one counts as none, as in ${NAME:-default}.
    """
    first, written = environment_of(1), env_file(os.path.join(settings["app"], settings["env"]))
    names = {raw(name): raw(default) for name, default in defaults.items()}
    return {name: first.get(name) or written.get(name) or default for name, default in names.items()}


def env_file(file: str) -> dict[bytes, bytes]:
    """Read NAME=value lines; quotes around a value are not part of it."""
    found = {}
    with contextlib.suppress(OSError):
        for line in content_of(raw(file)).splitlines():
            name, equals, value = line.strip().partition(b"=")
            if equals and not name.startswith(b"#"):
                name, value = name.removeprefix(b"export ").strip(), value.strip()
                quoted = len(value) > 1 and value[:1] == value[-1:] and value[:1] in b"'\""
                found[name] = value[1:-1] if quoted else value
    return found


def programs_between(old: bytes, new: bytes) -> dict[str, list[str]]:
    """Name Supervisor's programs that come, change and go."""
    before, after = sections(old), sections(new)
    return {
        "came": sorted(after.keys() - before.keys()),
        "changed": sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
        "went": sorted(before.keys() - after.keys()),
    }


def sections(config: bytes) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(inline_comment_prefixes=(" ;",), strict=False)
    with contextlib.suppress(configparser.Error):
        parser.read_string(config.decode("utf-8", "replace"))
    names = [name for name in parser.sections() if name.startswith(_PROGRAM)]
    return {name.partition(":")[2]: dict(parser.items(name)) for name in names}


def content_of(path: bytes) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def bare(settings: dict[str, Any], path: bytes) -> bytes:
    """Read a file as it is without the maintenance page, which is nobody's edit."""
    return without_page(content_of(path), page_folder(settings))


def remember_unedited(settings: dict[str, Any], tree: Tree) -> None:
    """Before another release's sources come: what lies elsewhere and is nobody's edit stays known as that."""
    kept = {}
    for name, file in settings["files"].items():
        place = place_of(file)
        if place and (blob := blob_id(bare(settings, place.path), tree.digits)) in known(settings, tree, name, file):
            kept[name] = blob
    if kept:
        remember(settings, kept)


def remember(settings: dict[str, Any], blobs: dict[str, str]) -> None:
    write_json(raw(settings["record"]), OURS, {**(read_json(settings, OURS) or {}), **blobs})
