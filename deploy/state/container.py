"""What the program in the container told. A container may be broken into: each value is looked at before it is used."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from deploy.message import Told, Value, say, unpack
from deploy.state.kept import OBJECT, RUN
from deploy.state.model import App, Chain, Installed, Page, Program, Record, Revision, Worker

_Item = TypeVar("_Item")

# More than any path, error or list of files has that is meant well.
LONGEST, MOST = 65536, 200_000
# Alembic forbids itself @ - + and :, and with none of these at its head nothing is taken for an option.
REVISION = re.compile(r"[\w.][\w.-]{0,254}")
# What a built folder was made from.
_DIGEST = re.compile(f"|[?]|{OBJECT.pattern}")
_ID = re.compile("[0-9a-f]{12}")
_OWNER = re.compile(r"([0-9]{1,10}:[0-9]{1,10})?")


def app(told: Any) -> App:
    """Read the one object that `inspect` told; ValueError names what in it cannot be."""
    facts = _mapping(told, say("the answer"))

    def get(name: str, read: Callable[[Any, Value], _Item], nothing: _Item) -> _Item:
        return nothing if facts.get(name) is None else read(facts[name], name)

    return App(
        owner=get("owner", _matching(_OWNER), ""),
        free_mib=get("free_mib", _number, None),
        record=get("record", _record, None),
        drift=get("drift", _texts, ()),
        differs=get("differs", _blobs, {}),
        files=get("files", _files, {}),
        built=get("built", _digests, {}),
        page=get("page", _page, None),
        programs=get("programs", _programs, ()),
        worker_mib=get("worker_mib", _number, 0),
        memory_mib=get("memory_mib", _number, None),
        chain=get("chain", _chain, None),
        target_chain=get("target_chain", _chain, None),
        lacks=get("lacks", _texts, ()),
        readonly=get("readonly", _texts, ()),
        mounted=get("mounted", _lists, {}),
        problems=get("problems", _told, ()),
        migrating=get("migrating", _told, ()),
    )


def damaged(told: Any) -> tuple[str, ...]:
    """Name the files of ours in the container that could not be understood."""
    return _texts(told.get("damaged") or [], "damaged")


def revision(told: Any, what: Value = "a migration") -> str:
    return _matching(REVISION)(told, what)


def _record(told: Any, what: Value) -> Record:
    facts = _mapping(told, what)
    return Record(
        _matching(OBJECT)(facts.get("revision"), say("the revision that runs")),
        facts.get("complete") is True,
        _matching(RUN)(facts.get("run"), say("the run that copied")),
        {name: blob or "" for name, blob in _blobs(facts.get("overridden") or {}, "overridden").items()},
    )


def _files(told: Any, what: Value) -> Mapping[str, Installed]:
    return {name: _file(_mapping(one, what), what) for name, one in _mapping(told, what).items()}


def _file(facts: Mapping[str, Any], what: Value) -> Installed:
    came, changed, went = (_texts(facts.get(name) or [], what) for name in ("came", "changed", "went"))
    place = _text(facts.get("place"), what)
    differs, edited, current = (facts.get(name) is True for name in ("differs", "edited", "current"))
    return Installed(place, differs, edited, came, changed, went, current)


def _page(told: Any, what: Value) -> Page:
    facts = _mapping(told, what)
    place, template = (_text(facts.get(name), what) for name in ("place", "template"))
    return Page(place, template, facts.get("on") is True)


def _programs(told: Any, what: Value) -> tuple[Program, ...]:
    return tuple(_program(_mapping(one, what), what) for one in _list(told, what))


def _program(facts: Mapping[str, Any], what: Value) -> Program:
    return Program(
        id=_matching(_ID)(facts.get("id"), what),
        name=_text(facts.get("name"), what),
        supervised=facts.get("supervised") is True,
        server=facts.get("server") is True,
        fresh=facts.get("fresh") is True,
        processes=_number(facts.get("processes", 1), what),
        workers=_number(facts.get("workers", 0), what),
        preload=facts.get("preload") is True,
        config=_text(facts.get("config", ""), what),
        reconfigure=facts.get("reconfigure") is True,
        chain=facts.get("chain") is True,
        problem=unpack(_text(facts.get("problem", ""), what)),
        each=tuple(_worker(_mapping(one, what), what) for one in _list(facts.get("each", []), what)),
    )


def _worker(facts: Mapping[str, Any], what: Value) -> Worker:
    return Worker(*(_number(facts.get(name), what) for name in ("pid", "age", "mib")))


def _chain(told: Any, what: Value) -> Chain:
    facts = _mapping(told, what)
    if "error" in facts:
        return Chain(error=unpack(_text(facts["error"], what)))
    revisions = (_mapping(one, what) for one in _list(facts.get("revisions"), what))
    return Chain(
        heads=tuple(revision(head) for head in _list(facts.get("heads"), what)),
        revisions=tuple(
            Revision(
                revision(one.get("revision")),
                tuple(revision(down) for down in _list(one.get("down"), what)),
                unpack(_text(one.get("doc") or "", what)),
                tuple(revision(other) for other in _list(one.get("depends") or [], what)),
                _text(one.get("file") or "", what),
            )
            for one in revisions
        ),
    )


def _blobs(told: Any, what: Value) -> Mapping[str, str | None]:
    found = _mapping(told, what)
    return {name: None if blob is None else _matching(OBJECT)(blob, what) for name, blob in found.items()}


def _digests(told: Any, what: Value) -> Mapping[str, str]:
    return {name: _matching(_DIGEST)(digest, what) for name, digest in _mapping(told, what).items()}


def _mapping(told: Any, what: Value) -> Mapping[str, Any]:
    if not isinstance(told, dict) or len(told) > MOST:
        raise ValueError(say("%s is no object", what))
    return told


def _list(told: Any, what: Value) -> Sequence[Any]:
    if not isinstance(told, list) or len(told) > MOST:
        raise ValueError(say("%s is no list", what))
    return told


def _lists(told: Any, what: Value) -> Mapping[str, tuple[str, ...]]:
    return {name: _texts(value, what) for name, value in _mapping(told, what).items()}


def _texts(told: Any, what: Value) -> tuple[str, ...]:
    return tuple(_text(one, what) for one in _list(told, what))


def _told(told: Any, what: Value) -> tuple[Told, ...]:
    return tuple(map(unpack, _texts(told, what)))


def _text(told: Any, what: Value) -> str:
    if not isinstance(told, str) or len(told) > LONGEST:
        raise ValueError(say("%s is no text", what))
    return told


def _number(told: Any, what: Value) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told < 1 << 62:
        raise ValueError(say("%s is no number", what))
    return told


def _matching(pattern: re.Pattern[str]) -> Callable[[Any, Value], str]:
    def read(told: Any, what: Value) -> str:
        if not isinstance(told, str) or not pattern.fullmatch(told):
            raise ValueError(say("%s is not what it should be: %s", what, repr(str(told)[:60])))
        return told

    return read
