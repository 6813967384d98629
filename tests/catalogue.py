"""The catalogue of translations: python -m tests.catalogue brings every format that is said into it.

`inv messages` calls it. What is new stands in the .po with an empty translation, what nobody says any more goes.
"""

import ast
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import normalize, read_po, write_po

from deploy.language import EXAMPLE
from deploy.message import LIST
from tests.commands import contexts
from tests.shell_words import literal
from tests.test_messages_born import MAKERS, PROGRAM, SCRIPTS, formats_of, said
from tests.test_words import calls, formats, trees

LOCALE = Path(__file__).resolve().parent.parent / "deploy" / "locale"
PO = LOCALE / "zh" / "LC_MESSAGES" / "messages.po"
MO = PO.with_suffix(".mo")
# No date of now, so that the same formats make the same files.
BEGAN = datetime(2026, 11, 28, tzinfo=UTC)
# What joins the values of a list, which is no format of anybody.
JOINER = ", "


def in_python() -> Iterator[tuple[str, str]]:
    """Give each format that Python and the program in the container make a message of, and where."""
    sources: list[tuple[str, ast.Module, tuple[str, ...]]] = []
    sources += [(name, tree, ("say", "counted")) for name, tree in trees()]
    sources += [(f"deploy/inside/{name}", tree, MAKERS) for name, tree in PROGRAM]
    for name, tree, makers in sources:
        for call in calls(tree, *makers):
            for one in formats(call):
                if isinstance(one, ast.Constant):
                    yield str(one.value), name


def in_bash() -> Iterator[tuple[str, str]]:
    for name, _, function, words in said():
        for format in formats_of(function, words):
            yield literal(format).strip("'"), f"deploy/{name}"
    for format in re.findall(r'said\("([^"]+)"', SCRIPTS["scripts/redact.sh"]):
        yield format, "deploy/scripts/redact.sh"


def in_help() -> Iterator[tuple[str, str]]:
    """Give what `inv --list` and `inv --help` tell of each verb."""
    import tasks

    yield EXAMPLE, "tasks.py"
    for name in dir(tasks):
        task = getattr(tasks, name)
        if hasattr(task, "help") and hasattr(task, "body"):
            yield (task.__doc__ or "").partition("\n")[0], "tasks.py"
    # Invoke takes the help out of a task when it first asks for its arguments.
    for context in contexts().values():
        yield from ((argument.help, "tasks.py") for argument in context.args.values() if argument.help)


@cache
def found() -> dict[str, tuple[str, ...]]:
    """Give every format that has words or punctuation, and the files that say it."""
    places: dict[str, set[str]] = {JOINER: {"deploy/wording.py"}}
    for format, file in (*in_python(), *in_bash(), *in_help()):
        # Chinese has its own punctuation.
        if re.search("[A-Za-z:;,(]", format.replace("%s", "")) and format != LIST:
            places.setdefault(format, set()).add(file)
    return {format: tuple(sorted(files)) for format, files in sorted(places.items(), key=lambda one: sorted(one[1]))}


def translations(po: Path = PO) -> Catalog:
    with po.open("rb") as file:
        return read_po(file, locale="zh")


def update(more: Mapping[str, str]) -> None:
    """Bring every format into the .po, with the translation that it has or is given, and compile that."""
    MO.write_bytes(compiled(bring(PO, found(), more)))


def bring(po: Path, texts: Mapping[str, Sequence[str]], more: Mapping[str, str]) -> Catalog:
    """Have a .po hold these texts and the files that say them, with the translation that each has or is given."""
    old = translations(po)
    new = Catalog(locale="zh", header_comment=old.header_comment, revision_date=BEGAN, creation_date=BEGAN)
    new.fuzzy = False
    for text, files in texts.items():
        known = old.get(text)
        new.add(text, more.get(text) or (known.string if known else ""), locations=[(file, 0) for file in files])
    with po.open("wb") as file:
        write_po(file, new, width=118, include_lineno=False, omit_header=False)
    return new


def compiled(catalogue: Catalog) -> bytes:
    made = io.BytesIO()
    write_mo(made, catalogue)
    return made.getvalue()


def untranslated() -> list[str]:
    known = translations()
    return [format for format in found() if not ((one := known.get(format)) and one.string)]


def pasteable(wanted: list[str]) -> str:
    """Write formats as entries of the .po, to be filled in."""
    return "".join(f'\nmsgid {normalize(format)}\nmsgstr ""\n' for format in wanted)


def main(file: str = "") -> None:
    """Take the translations of a JSON file, an object from formats to them, if there is one; update the catalogue."""
    update(json.loads(Path(file).read_text(encoding="utf-8")) if file else {})
    if wanted := untranslated():
        sys.stdout.write(f"{len(wanted)} without a translation in {PO}:\n{pasteable(wanted)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
