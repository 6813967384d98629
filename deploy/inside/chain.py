"""The chain of migrations of a tree, as its files say it: they are parsed, and nothing of them is run."""

from __future__ import annotations

import ast
import configparser
import contextlib
import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from deploy.inside.message import LIST, ExpectedError, message
from deploy.inside.record import read_json, write_json
from deploy.inside.tree import BYTECODE, Tree, parents, within
from deploy.inside.wire import LINK, Blobs, Entry, raw, shown, text

CHAINS, KEPT = b"chains.json", 3
# Changed together with what is kept there.
FORMAT = 3
# As Alembic takes them for revisions, and what it separates the places of alembic.ini by.
REVISION_FILE = re.compile(rb"(?!\.#|__init__).*\.py\Z", re.DOTALL)
SEPARATORS = {"space": " ", "newline": "\n", "os": ":", ":": ":", ";": ";"}
FORBIDDEN = "@-+"
READ = ("revision", "down_revision", "depends_on", "branch_labels")


class Places(NamedTuple):
    """Where revisions lie below the app's folder, and whether in the folders of these places too."""

    folders: tuple[bytes, ...]
    recursive: bool

    def hold(self, path: bytes) -> bool:
        """Tell whether a file may be one of their revisions."""
        folder, name = os.path.split(path)
        inside = within(folder, self.folders) if self.recursive else folder in self.folders
        return inside and not folder.endswith(b"__pycache__") and bool(REVISION_FILE.match(name))


class Declared(NamedTuple):
    """What a file says of its revision; None: not as a literal."""

    path: bytes
    values: dict[str, Any]
    lines: dict[str, int]
    message: str


class Revision(NamedTuple):
    """A migration; `depends` are ids, whatever names the file has for them."""

    path: bytes
    id: str
    down: tuple[str, ...]
    depends: tuple[str, ...]
    labels: tuple[str, ...]
    message: str


def present_chain(settings: dict[str, Any], tree: Tree) -> dict[str, Any]:
    """Read the chain that lies in the app's folder, whoever put it there."""
    folder = raw(settings["migrations"].strip("/"))

    def read(path: bytes) -> bytes:
        with open(tree.at(path), "rb") as stream:
            return stream.read()

    def found() -> dict[str, Any]:
        ini = tree.at(ini_of(folder))
        places = places_of(tree, folder, read(ini_of(folder)) if os.path.isfile(ini) else b"")
        entries = present(tree, (folder, *places.folders))
        return remembered(settings, entries, lambda: chain(folder, places, entries, read))

    return told(found)


def target_chain(settings: dict[str, Any], tree: Tree, entries: dict[bytes, Entry], blobs: Blobs) -> dict[str, Any]:
    """Read the chain of a commit's files; the host is asked for what is not here, alembic.ini first."""
    folder = raw(settings["migrations"].strip("/"))

    def fetch(paths: Iterable[bytes]) -> None:
        blobs.fetch({entries[path].blob: path for path in paths})

    def read(path: bytes) -> bytes:
        return blobs.content[entries[path].blob]

    def found() -> dict[str, Any]:
        ini = ini_of(folder)
        if ini in entries and tree.entry(ini) == entries[ini]:
            with open(tree.at(ini), "rb") as here:
                blobs.content[entries[ini].blob] = here.read()
        elif ini in entries:
            fetch([ini])
        places = places_of(tree, folder, read(ini) if ini in entries else b"")
        wanted = {path: entry for path, entry in entries.items() if within(path, (folder, *places.folders))}

        def fetched() -> dict[str, Any]:
            fetch(path for path in wanted if places.hold(path))
            return chain(folder, places, wanted, read)

        return remembered(settings, wanted, fetched)

    return told(found)


def told(found: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Give a chain, or what keeps it from being one."""
    try:
        return found()
    except ExpectedError as error:
        return {"error": str(error)}


def ini_of(folder: bytes) -> bytes:
    return os.path.join(folder, b"alembic.ini")


def places_of(tree: Tree, folder: bytes, ini: bytes) -> Places:
    """Say where revisions lie, by what Flask-Migrate's alembic.ini says."""
    here = text(tree.at(folder))
    parser = configparser.ConfigParser({"here": here})
    try:
        parser.read_string(text(ini))
        listed = parser.get("alembic", "version_locations", fallback="")
        separator = parser.get("alembic", "path_separator", fallback="") or parser.get(
            "alembic", "version_path_separator", fallback=""
        )
        recursive = parser.getboolean("alembic", "recursive_version_locations", fallback=False)
    except (configparser.Error, ValueError) as error:
        raise ExpectedError("%s: %s", shown(ini_of(folder)), str(error).splitlines()[0]) from None
    if separator and separator not in SEPARATORS:
        raise ExpectedError("%s: path_separator is %s", shown(ini_of(folder)), repr(separator))
    words = listed.split(SEPARATORS[separator]) if separator else re.split(r", *| +", listed)
    places = [word.strip() for word in words if word.strip()] or [os.path.join(here, "versions")]
    return Places(tuple(place_of(tree, folder, place) for place in places), recursive)


def place_of(tree: Tree, folder: bytes, place: str) -> bytes:
    """Name a place of alembic.ini as git would: flask db runs in the app's folder."""
    path = os.path.relpath(os.path.join(tree.root, raw(place)), tree.root)
    if path.split(b"/")[0] in (b".", b"..") or (":" in place and not place.startswith("/")):
        raise ExpectedError(
            "%s: version_locations names %s, which is no folder of the code", shown(ini_of(folder)), place
        )
    return path


def present(tree: Tree, folders: Iterable[bytes]) -> dict[bytes, Entry]:
    """List what lies in folders of the app's."""
    tops = [tree.at(folder) for folder in folders]
    found = {
        os.path.join(place, name)
        for top in tops
        for place, _, names in os.walk(top)
        for name in names
        if not BYTECODE.search(name)
    }
    paths = [os.path.relpath(path, tree.root) for path in [*found, *filter(os.path.islink, tops)]]
    return {path: entry for path in paths if (entry := tree.entry(path))}


def remembered(
    settings: dict[str, Any], entries: dict[bytes, Entry], read: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Read a chain, unless it was read before from the same files; a container never updated remembers nothing."""
    files = sorted((text(path), *entry) for path, entry in entries.items())
    told = hashlib.sha256(json.dumps([FORMAT, files]).encode("ascii")).hexdigest()
    known = read_json(settings, CHAINS) or {}
    if not isinstance(known.get(told), dict):
        found = read()
        if not os.path.isdir(settings["record"]):
            return found
        # The last ones are those of the running and of the coming release.
        known = {**dict(list(known.items())[-KEPT:]), told: found}
        # Two that look at once may get into each other's way; what is lost is read again.
        with contextlib.suppress(OSError):
            write_json(raw(settings["record"]), CHAINS, known)
    kept: dict[str, Any] = known[told]
    return kept


def chain(folder: bytes, places: Places, entries: dict[bytes, Entry], read: Callable[[bytes], bytes]) -> dict[str, Any]:
    """Put a tree's revisions in order, from base to head."""
    if not any(within(path, [folder]) for path in entries):
        raise ExpectedError("there is no folder %s", shown(folder))
    above = {part for place in places.folders for part in (*parents(place), place)}
    for path in sorted(entries):
        if entries[path].mode == LINK and (path in above or places.hold(path)):
            raise ExpectedError("%s is a symlink, and revisions are not looked for behind one", shown(path))
    declared = [declaration(path, read(path)) for path in sorted(entries) if places.hold(path)]
    revisions = linked([revision_of(one) for one in declared])
    followed = {parent for revision in revisions for parent in revision.down}
    return {
        "heads": [revision.id for revision in revisions if revision.id not in followed],
        "revisions": [
            {
                "revision": one.id,
                "down": list(one.down),
                "depends": list(one.depends),
                "doc": one.message,
                "file": text(one.path),
            }
            for one in revisions
        ],
    }


def declaration(path: bytes, source: bytes) -> Declared:
    """Parse a revision's file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except SyntaxError as error:
        raise ExpectedError("%s (%s, line %s)", error.msg, shown(path), error.lineno) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpectedError("%s cannot be parsed: %s", shown(path), error) from None
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for statement in module.body:
        for name, value in bindings(statement):
            values[name] = None if value is None else literal(value, values)
            lines[name] = statement.lineno
    return Declared(path, values, lines, message_of(module))


def message_of(module: ast.Module) -> str:
    lines = (ast.get_docstring(module, clean=False) or "").strip().splitlines()
    return lines[0] if lines else ""


def bindings(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Name what a statement of a module binds; what is no plain assignment has no value here."""
    if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
        yield from ((target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        if statement.value:
            yield statement.target.id, statement.value
    else:
        yield from ((name, None) for name in bound(statement))


def bound(node: ast.AST) -> Iterator[str]:
    """Name what is bound somewhere in a statement, but for what functions and classes have of their own."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        return
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.alias):
        yield node.asname or node.name.partition(".")[0]
    elif isinstance(getattr(node, "name", None), str):
        yield str(node.name)  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(node):
        yield from bound(child)


class Literal(NamedTuple):
    """A value that is told by the file alone."""

    value: Any


def literal(node: ast.expr, known: dict[str, Any]) -> Literal | None:
    """Give the value of an expression of texts, of names for such ones, and of lists of them; else nothing."""
    if isinstance(node, ast.Constant):
        return Literal(node.value)
    if isinstance(node, ast.Name):
        found: Literal | None = known.get(node.id)
        return found
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        items = [literal(item, known) for item in node.elts]
        return Literal(tuple(item.value for item in items if item)) if all(items) else None
    if isinstance(node, ast.JoinedStr):
        parts = [literal(part, known) for part in node.values]
        return Literal("".join(part.value for part in parts if part)) if all(parts) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = [literal(node.left, known), literal(node.right, known)]
        texts = [side.value for side in sides if side and isinstance(side.value, str)]
        return Literal("".join(texts)) if len(texts) == 2 else None
    return None


def revision_of(declared: Declared) -> Revision:
    """Take the revision out of what its file says."""
    for name in READ:
        if name in declared.values and declared.values[name] is None:
            raise ExpectedError("%s is not written as a literal (%s)", name, at(declared, name))
    values = {name: declared.values[name].value for name in READ if name in declared.values}
    # So were the first ones named that Alembic ever made.
    named = re.match(rb"([a-f0-9]+)\.py\Z", os.path.basename(declared.path))
    if "revision" not in values and named:
        values["revision"] = named[1].decode("ascii")
    identity = values.get("revision")
    if "revision" not in values:
        raise ExpectedError("%s names no revision", shown(declared.path))
    if not isinstance(identity, str) or not identity or set(identity) & set(FORBIDDEN):
        raise ExpectedError("%s cannot be a revision (%s)", repr(identity), at(declared, "revision"))
    down, depends, labels = (several(declared, name, values.get(name)) for name in READ[1:])
    return Revision(declared.path, identity, down, depends, labels, declared.message)


def several(declared: Declared, name: str, value: Any) -> tuple[str, ...]:
    """Give none, one or several names as a tuple."""
    names = value if isinstance(value, tuple) else () if value is None else (value,)
    if not all(isinstance(item, str) for item in names):
        raise ExpectedError("%s is no text (%s)", name, at(declared, name))
    return tuple(dict.fromkeys(names))


def at(declared: Declared, name: str) -> str:
    """Say where a name is assigned."""
    line = declared.lines.get(name)
    return message("%s, line %s", shown(declared.path), line) if line else shown(declared.path)


def linked(revisions: list[Revision]) -> list[Revision]:
    """Order revisions from base to head, each with the ids that it depends on."""
    named: dict[str, Revision] = {}
    for one in revisions:
        if one.id in named:
            first = shown(named[one.id].path)
            raise ExpectedError("Revision %s is present more than once (%s, %s)", one.id, first, shown(one.path))
        named[one.id] = one
    for one in revisions:
        for label in one.labels:
            if label in named:
                other = named[label].id
                raise ExpectedError("the branch label %s is used by %s too (%s)", label, other, shown(one.path))
            named[label] = one
    for one in revisions:
        for name in one.down + one.depends:
            if name not in named:
                where = shown(one.path)
                raise ExpectedError("Revision %s referenced from %s is not present (%s)", name, one.id, where)
    resolved = [
        one._replace(
            down=tuple(named[name].id for name in one.down), depends=tuple(named[name].id for name in one.depends)
        )
        for one in revisions
    ]
    return ordered(resolved)


def ordered(revisions: list[Revision]) -> list[Revision]:
    """Put each one after those that it follows and depends on."""
    done = dict[str, Revision]()
    waiting = revisions
    while waiting:
        ready = [one for one in waiting if done.keys() >= {*one.down, *one.depends}]
        if not ready:
            circle = message(LIST, *(one.id for one in waiting))
            raise ExpectedError("revisions follow each other in a circle: %s", circle)
        done.update((one.id, one) for one in ready)
        waiting = [one for one in waiting if one.id not in done]
    return list(done.values())
