"""Language: which one the operator reads. It is known before the settings are, as their errors are told in it."""

import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploy.message import Told

LOCALE = Path(__file__).parent / "locale"
EXAMPLE = "Example: "
# None while English is spoken, which then costs no import.
_spoken: Callable[[str], str] | None = None
_KEY = re.compile(rb"""^lang:[ \t]*["']?([A-Za-z]+)""", re.MULTILINE)


def begin(*files: Path) -> None:
    """Speak the language that the environment asks for, else the last of these settings files, else the locale."""
    global _spoken
    if chosen(os.environ, *files) == "en":
        return
    from deploy import wording

    _spoken = _chinese()
    wording.speak(_spoken)


def is_spoken() -> bool:
    """Is another language than English spoken?"""
    return _spoken is not None


def plain(told: "Told") -> str:
    """Give the text of a message where the report cannot be made."""
    from deploy import wording

    return wording.text(told)


def every() -> dict[str, Callable[[str], str]]:
    """Give the catalogue of each language, that of the operator first."""
    english: dict[str, Callable[[str], str]] = {"en": str}
    return {"zh": _spoken, **english} if _spoken else {**english, "zh": _chinese()}


@cache
def _chinese() -> Callable[[str], str]:
    import gettext

    with (LOCALE / "zh" / "LC_MESSAGES" / "messages.mo").open("rb") as compiled:
        return gettext.GNUTranslations(compiled).gettext


def help_text(text: str) -> str:
    """Give what Invoke shows of a verb, no message but a text from the start: a line, and an example below it."""
    if not _spoken or not text:
        return text
    first, end, rest = text.partition("\n")
    return _spoken(first) + end + rest.replace(EXAMPLE, _spoken(EXAMPLE), 1)


def chosen(environ: Mapping[str, str], *files: Path) -> str:
    """Choose zh or en. A file is read leniently: what is wrong with it is told later, when it is loaded."""
    asked = environ.get("HOT_UPDATE_LANG") or next(filter(None, map(_written, reversed(files))), "auto")
    return _of_locale(environ) if asked == "auto" else _known(asked) or "en"


def _written(file: Path) -> str:
    try:
        found = _KEY.search(file.read_bytes())
    except OSError:
        return ""
    return found[1].decode() if found else ""


def _of_locale(environ: Mapping[str, str]) -> str:
    """Choose as gettext does: LANGUAGE is a list to be tried, and counts only where the locale is one of people."""
    locale = next(filter(None, map(environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return "en"
    return next(filter(None, map(_known, (environ.get("LANGUAGE") or locale).split(":"))), "en")


def _known(locale: str) -> str:
    """Give the language of a locale's name, such as zh_CN.UTF-8, where there is a catalogue of it."""
    language = re.split("[_.@-]", locale)[0].lower()
    return language if language in ("zh", "en") else ""
