"""One file for a colleague: what was found, and all that was read, as text; secrets were removed on the host."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from deploy import output, preflight, remedies, shell
from deploy.errors import Exit, Failure
from deploy.message import NOTHING, Message, Printed, Told, pack, say
from deploy.plan import Finding, Options
from deploy.report import Report
from deploy.runs import Event
from deploy.verbs import logs as reading
from deploy.verbs import status as looks
from deploy.verbs.session import Session

if TYPE_CHECKING:
    from deploy.verbs.diagnose import Examined


class Sheet(Report):
    """Takes down what is told, in the reader's language, for a file that people read."""

    draws = False

    def __init__(self, file: TextIO, of: str) -> None:
        super().__init__(of=of)
        self._file = file

    def line(self, told: Told, style: str = "") -> None:
        # What stands in a log acts on no terminal that shows the file.
        self._file.write("\t".join(map(output.visible, self.in_words(told).split("\t"))) + "\n")

    def error_line(self, told: Told) -> None:
        self.line(told)

    def log(self, source: str, moment: float, told: Told, colour: str) -> bool:
        self.line(say("%s  %s", source, told))
        return True

    def findings(self, findings: Sequence[Finding]) -> None:
        for one in findings:
            self.line(say("%s  %s: %s", _MARKS[one.level], one.check, one.evidence))
            if one.remedy and one.level != "ok":
                self.line(say("   → %s", one.remedy))


_MARKS = {"ok": "✓", "warning": "!", "refusal": "✗"}


class Bundle:
    """The file; `told` says where it is and what it has."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file

    @property
    def told(self) -> Message:
        size = f"{self._path.stat().st_size / 1024:.0f}"
        return say(
            "%s has all of it (%s KiB, for you alone to read), without the secrets of the env file",
            str(self._path),
            size,
        )

    def write(self, name: str, read: "Mapping[str, tuple[Session, Examined]]") -> None:
        """Write what was read of each host, and what is still to be read: status, history, logs."""
        head = Sheet(self._file, name)
        head.line(say("inv diagnose --target %s, %s", name, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S UTC}"))
        head.line(say("values of the env file whose keys name a secret were removed on the host"))
        for session, examined in read.values():
            self._write_host(session, examined)
        self._file.flush()

    def _write_host(self, session: Session, examined: "Examined") -> None:
        sheet, settings = Sheet(self._file, session.settings.target.name), session.settings
        titled: Sequence[tuple[Message, Callable[[], None]]] = (
            (say("What is wrong, the likeliest cause first"), lambda: sheet.diagnoses(examined.found)),
            (say("Health"), lambda: sheet.health(examined.checks)),
            (
                say("Preflight"),
                lambda: sheet.findings(preflight.judge(settings, examined.state, Options())),
            ),
            (say("Status"), lambda: looks.status(session, as_json=False, drift=False)),
            (say("History"), lambda: looks.history(session, as_json=False)),
            (say("The last runs"), lambda: _tell_journals(sheet, examined)),
            (say("Facts"), lambda: _tell_values(sheet, replace(examined.facts, journals={}))),
            (say("State"), lambda: _tell_values(sheet, replace(examined.state, logs=(), guard=""))),
            *(
                (say("Logs: %s", service or settings.app.service), _logs(session, service))
                for service in _services(examined)
            ),
        )
        with _taken_down(session, sheet):
            for title, tell in titled:
                sheet.line(NOTHING)
                sheet.line(say("══ %s · %s ══", settings.target.name, title))
                try:
                    tell()
                except Failure as failure:
                    # What is broken is told, and the rest goes on.
                    sheet.line(say("✗ %s", failure.fact))
                    for line in failure.evidence:
                        sheet.line(say("  %s", line))


@contextmanager
def into(file: str) -> Iterator[Bundle | None]:
    """Make the file, for its owner alone; one that is there is not touched. Nothing where none is wanted."""
    if not file:
        yield None
        return
    path = Path(file).expanduser()
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failure(say("%s is there already", str(path)), remedy=remedies.NAME_NEW_FILE, code=Exit.USAGE) from None
    except OSError as error:
        why = Printed(error.strerror or str(error))
        raise Failure(say("%s cannot be written: %s", str(path), why), code=Exit.USAGE) from None
    with os.fdopen(made, "w", encoding="utf-8", errors="backslashreplace") as stream:
        try:
            yield Bundle(path, stream)
        except BaseException:
            # Half of one tells less than it seems to.
            with suppress(OSError):
                path.unlink()
            raise


@contextmanager
def _taken_down(session: Session, sheet: Sheet) -> Iterator[None]:
    """Have what verbs tell of a session go into the file."""
    usual, session.report = session.report, sheet
    try:
        yield
    finally:
        session.report = usual


def _services(examined: "Examined") -> tuple[str, ...]:
    """Name the services that have logs: nothing for what runs the code, then the others."""
    app = examined.state.containers.get("app")
    known = dict.fromkeys(one.service for one in examined.facts.containers if one.service)
    return ("", *(service for service in known if not app or service != app.service)) if examined.state.engine else ()


def _logs(session: Session, service: str) -> Callable[[], None]:
    wanted = reading.wanted(service=service, kind="", tail="", follow=False, since="", grep="", run="")
    return lambda: reading.show(session, wanted)


def _tell_journals(sheet: Sheet, examined: "Examined") -> None:
    for lines in examined.facts.journals.values():
        for line in lines:
            at, kind, *fields = (*shell.fields(pack(line)), "", "")
            with suppress(ValueError, LookupError):
                sheet.event(Event(float(at), kind, tuple(filter(None, fields))))


def _tell_values(sheet: Sheet, values: object) -> None:
    """Write what was read, a line for each thing, without what is empty."""
    for line in _lines(sheet, "", values):
        sheet.line(Printed(line))


def _lines(sheet: Sheet, name: str, value: object) -> Iterator[str]:
    match value:
        case Message():
            yield f"{name}: {sheet.in_words(value)}"
        case list() | tuple() if all(isinstance(one, str | int | float) for one in value):
            yield f"{name}: " + ", ".join(map(str, value))
        case list() | tuple():
            for number, one in enumerate(value):
                yield from _lines(sheet, f"{name}[{number}]", one)
        case _ if is_dataclass(value) or isinstance(value, Mapping):
            held = (
                value if isinstance(value, Mapping) else {one.name: getattr(value, one.name) for one in fields(value)}
            )
            simple = {key: one for key, one in held.items() if isinstance(one, str | int | float) and one != ""}
            if simple:
                yield f"{name}: " + ", ".join(f"{key}={one}" for key, one in simple.items())
            for key, one in held.items():
                if not isinstance(one, str | int | float | None):
                    yield from _lines(sheet, f"{name}.{key}".lstrip("."), one)
        case _:
            yield f"{name}: {value}"
