"""The settings, from the models and the comments of invoke.yaml: each with its type, default, unit and meaning."""

import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from deploy.settings import model
from deploy.settings.load import DEFAULT_TARGET, LANGUAGES
from tests.reference.comments import ANY, Comments, Path

Translate = Callable[[str], str]
KINDS: Mapping[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    model.Text: "text",
    model.Name: "text, not empty",
    model.Word: "word of letters, digits, `_`, `.` and `-`",
    model.Host: "`user@host:port`, or an alias",
    model.HostHeader: "name, or `name:port`",
    model.Pattern: "pattern",
    model.Exclusion: "pattern without `!`",
    model.RelativePath: "relative path",
    model.AbsolutePath: "absolute path",
    model.Folder: "absolute path, or empty",
    model.Positive: "whole number, at least 1",
    model.Natural: "whole number, at least 0",
    model.Url: "`http(s)://host:port`",
    model.UrlPath: "URL path",
    model.Address: "address, or network",
    model.ProbeUrls: "URLs between spaces",
    model.Variable: "name of a variable",
    model.OptionalVariable: "name of a variable, or empty",
    model.Column: "`table.column`",
    model.Batch: "number, share or `all`",
}
# What a section of its own stands for in a type.
SECTION = "section"
# Sections that are told elsewhere, as the comment on them says.
ELSEWHERE = {("also", ANY, "programs")}


def page(comments: Comments, tell: Translate) -> str:
    """Write a table of each section that there is at the top of invoke.yaml."""
    general = [
        _row(("default_target",), tell("text, not empty"), _value(DEFAULT_TARGET), "", comments, tell),
        _row(("lang",), _choice(LANGUAGES, tell), _value("auto"), "", comments, tell),
    ]
    parts = [_table(tell("general"), "", general, tell)]
    for name, kind in (("targets", model.Target), ("groups", model.Group)):
        rows = [*_of_model(kind, (name, ANY), comments, tell)]
        parts.append(_table(name, comments.of((name,)), rows, tell))
    hints = get_type_hints(model.Sections, include_extras=True)
    for section in fields(model.Sections):
        name, (hint, _) = section.name, _bare(hints[section.name])
        rows = [*_of_field(section, hint, (), comments, tell)]
        parts.append(_table(name, "" if _many(hint) else comments.of((name,)), rows, tell))
    return "\n\n".join(parts)


def _table(title: str, intro: str, rows: Sequence[str], tell: Translate) -> str:
    heads = ("setting", "type", "default", "unit", "meaning")
    head = f"| {' | '.join(map(tell, heads))} |\n|{' --- |' * len(heads)}"
    return "\n\n".join(filter(None, (f"## {title}", tell(intro) if intro else "", "\n".join((head, *rows)))))


def _of_model(kind: Any, path: Path, comments: Comments, tell: Translate) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        # A target's name is its key.
        if (kind, field.name) != (model.Target, "name"):
            yield from _of_field(field, hints[field.name], path, comments, tell)


def _of_field(field: "Field[Any]", hint: Any, above: Path, comments: Comments, tell: Translate) -> Iterator[str]:
    """Give the row of a setting, and those of what lies in it; a section has no row of its own."""
    path, (bare, unit) = (*above, field.name), _bare(hint)
    section, many = _section(bare), _many(bare)
    if not section or many:
        yield _row(path, _kind(bare, tell), _default(field, tell), tell(unit) if unit else "", comments, tell)
    if section and path not in ELSEWHERE:
        yield from _of_model(section, (*path, many) if many else path, comments, tell)


def _bare(hint: Any) -> tuple[Any, str]:
    """Take the unit off a type."""
    if get_origin(hint) is not Annotated:
        return hint, ""
    base, *notes = get_args(hint)
    unit = next((note.name for note in notes if isinstance(note, model.Unit)), "")
    kept = tuple(note for note in notes if not isinstance(note, model.Unit))
    return (Annotated[(base, *kept)] if kept else base), unit


def _plain(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _section(hint: Any) -> Any:
    """Give the model that a setting is made of, if it is of one."""
    base = _plain(hint)
    return next((one for one in (base, *get_args(base)) if is_dataclass(one)), None)


def _many(hint: Any) -> str:
    """Tell how what lies in a setting is named, where there may be several."""
    return {tuple: "-", Mapping: ANY}.get(get_origin(_plain(hint)), "")


def _kind(hint: Any, tell: Translate) -> str:
    if hint in KINDS:
        return tell(KINDS[hint])
    base = _plain(hint)
    some = model._some in [getattr(note, "func", None) for note in getattr(hint, "__metadata__", ())]
    origin, parts = get_origin(base), get_args(base)
    if origin is Literal:
        return _choice(parts, tell)
    if origin in (Union, types.UnionType):
        return tell(", or ").join(_kind(part, tell) for part in parts)
    if origin is tuple:
        return tell("list, at least one: %s" if some else "list: %s") % _kind(parts[0], tell)
    if origin is Mapping:
        format = "map, at least one: %s to %s" if some else "map: %s to %s"
        return tell(format) % (_kind(parts[0], tell), _kind(parts[1], tell))
    return tell(SECTION)


def _choice(values: Sequence[str], tell: Translate) -> str:
    return tell(", ").join(f"`{value}`" if value else tell("empty") for value in values)


def _default(field: "Field[Any]", tell: Translate) -> str:
    if field.default is not MISSING:
        value = field.default
    elif field.default_factory is not MISSING:
        value = field.default_factory()
    else:
        return tell("none: needed")
    if value and any(map(is_dataclass, value.values() if isinstance(value, Mapping) else _items(value))):
        return tell("as in [invoke.yaml](../invoke.yaml)")
    return _value(value)


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, tuple) else ()


def _value(value: Any) -> str:
    # YAML would break its lines.
    if value == "" or (isinstance(value, str) and "\n" in value):
        return f"`{json.dumps(value, ensure_ascii=False)}`"
    plain = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return f"`{text.removesuffix('...' + chr(10)).strip()}`"


def _row(path: Path, kind: str, default: str, unit: str, comments: Comments, tell: Translate) -> str:
    shown = ".".join(path).replace(".-", "[]").replace(ANY, "NAME")
    meaning = comments.of(path)
    cells = (f"`{shown}`", kind, default, unit, _text(tell(meaning)) if meaning else "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _text(comment: str) -> str:
    """Keep Markdown from reading what a comment has outside of code."""
    parts = comment.split("`")
    parts[::2] = [part.replace("*", r"\*").replace("__", r"\_\_") for part in parts[::2]]
    return "`".join(parts)
