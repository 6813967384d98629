"""Write a settings file for a deployment from what is found on its host, or compare one with that."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from deploy import host, output, remedies, settings
from deploy.discovery import facts
from deploy.discovery.deciding import decide
from deploy.discovery.drift import drift
from deploy.discovery.facts import Facts
from deploy.discovery.found import Found
from deploy.errors import Exit, Failure
from deploy.host import Host
from deploy.host.known_hosts import UnknownKey
from deploy.message import Message, say
from deploy.report import Report, new
from deploy.settings.model import SECTIONS, Ssh, Target
from deploy.settings.writing import Line, write

NAME = "prod"
MARKS = {"given": "✓", "sure": "✓", "likely": "~", "unknown": "?"}
STYLES = {"likely": "yellow", "unknown": "red"}


@dataclass(frozen=True)
class Wanted:
    """What the command line says: the target, the settings that are known already, and how much is asked."""

    host: str = ""
    path: str = ""
    local: bool = False
    sudo: bool = False
    name: str = NAME
    given: Mapping[str, Any] = field(default_factory=dict)
    yes: bool = False
    force: bool = False
    accept: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        return output.can_ask() and not self.yes


def given(words: Sequence[str]) -> dict[str, Any]:
    """Read what --set was given: KEY=VALUE, the value as a settings file has it."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key.split(".")[0] not in SECTIONS:
            fact = say("--set %s is not a setting and its value", repr(word))
            raise Failure(fact, remedy=remedies.NAME_SETTING, code=Exit.USAGE)
        found[key] = _read(key, value)
    return found


def _read(key: str, value: str) -> Any:
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise Failure(say("%s: %s is not valid YAML", key, value), code=Exit.USAGE) from error
    if key == "health.checks" and isinstance(read, str) and "://" in read:
        scheme, _, rest = read.partition("://")
        address, slash, path = rest.partition("/")
        return [{"name": "direct", "url": f"{scheme}://{address}", "paths": [slash + path or "/"]}]
    return read


def init(project: Path, wanted: Wanted) -> None:
    """Read the host, ask what cannot be known, and write the file."""
    report, file = new(), project / "invoke.yaml"
    if file.exists() and not wanted.force:
        raise Failure(say("there is %s already", str(file)), remedy=remedies.FORCE_OR_CHECK, code=Exit.USAGE)
    wanted = _with_host(report, wanted)
    with _connected(report, *_way(wanted), wanted.accept) as connection:
        wanted = replace(wanted, path=wanted.path or _choose_folder(report, connection, wanted))
        report.line(say("reading %s on %s", wanted.path, connection.label), "dim")
        wanted, told = _read_deployment(report, connection, wanted)
    found = _answered(report, wanted, told)
    _show(report, found)
    text = _text(report, wanted, found)
    _prove(text, wanted.name)
    if wanted.asks and report.ask(say("write %s? [Y/n] ", str(file))).lower() not in ("", "y", "yes"):
        raise Failure(say("not agreed to, nothing was written"), code=Exit.REFUSED)
    with file.open("w" if wanted.force else "x", encoding="utf-8") as stream:
        stream.write(text)
    report.line(say("wrote %s", str(file)), "green")


def check(project: Path, extra: Path | None, name: str, accepted: tuple[str, ...]) -> None:
    """Compare the settings with the host; Failure where that has drifted."""
    report = new()
    chosen = settings.load(project=project, extra=extra, target=name or None)
    with _connected(report, chosen.target, chosen.ssh, accepted) as connection:
        told = _facts(connection, chosen.target.path, chosen.env.file if chosen.env else "")
    found = drift(chosen, told)
    for one in found:
        report.line(
            say("%s %s: %s", "✗" if one.certain else "~", one.key, one.told), "red" if one.certain else "yellow"
        )
    drifted = tuple(dict.fromkeys(one.key for one in found if one.certain))
    if drifted:
        fact = say("%s has drifted from its settings: %s", chosen.target.name, drifted)
        raise Failure(fact, remedy=remedies.CORRECT_SETTINGS, code=Exit.REFUSED)
    nothing = say("%s: nothing has drifted", chosen.target.name)
    report.line(say("%s, as far as it is known", nothing) if found else nothing, "" if found else "green")


# The host.


def _with_host(report: Report, wanted: Wanted) -> Wanted:
    if wanted.host and wanted.local:
        raise Failure(say("--host and --local exclude each other"), code=Exit.USAGE)
    if wanted.local and wanted.path:
        return replace(wanted, path=str(Path(wanted.path).resolve()))
    if wanted.host or wanted.local:
        return wanted
    if not wanted.asks:
        raise Failure(say("which host is meant was not said"), remedy=remedies.GIVE_HOST, code=Exit.USAGE)
    answer = report.ask(say("host (user@host:port or an alias from ssh_config; empty: this machine): "))
    return replace(wanted, host=answer, local=not answer)


def _way(wanted: Wanted) -> tuple[Target, Ssh]:
    told = {key.removeprefix("ssh."): value for key, value in wanted.given.items() if key.startswith("ssh.")}
    try:
        # Which folder is meant may be known later.
        target = Target(wanted.name, wanted.host, wanted.path or "/nowhere", wanted.sudo, wanted.local)
        return target, Ssh(**told)
    except ValidationError as error:
        evidence = tuple(say("%s: %s", str(one["loc"][-1]), one["msg"]) for one in error.errors())
        raise Failure(say("that is not how a host is reached"), evidence=evidence, code=Exit.USAGE) from error


@contextmanager
def _connected(report: Report, target: Target, ssh: Ssh, accepted: tuple[str, ...]) -> Iterator[Host]:
    """Connect, once a key that is not known was shown and agreed to, that of a gateway too."""
    ask = cache(report.secret) if output.can_ask() else None
    connection = None
    while connection is None:
        try:
            connection = host.connect(target, ssh, ask=ask)
        except UnknownKey as unknown:
            if not _agreed(report, unknown, accepted):
                raise
            unknown.learn()
            report.line(say("added to %s", str(unknown.file)))
    try:
        yield connection
    finally:
        connection.close()


def _agreed(report: Report, unknown: UnknownKey, accepted: tuple[str, ...]) -> bool:
    fingerprint = unknown.key.fingerprint.partition(" ")[2]
    if accepted:
        return fingerprint in accepted
    if not output.can_ask():
        evidence = unknown.evidence
        raise Failure(unknown.fact, evidence=evidence, remedy=remedies.accept_key(fingerprint), code=unknown.code)
    report.line(unknown.fact, "bold")
    for line in unknown.evidence:
        report.line(say("  %s", line))
    report.line(say("→ %s", remedies.VERIFY_KEY))
    return report.ask(say("is it the same? add it to %s? [y/N] ", str(unknown.file))).lower() in ("y", "yes")


def _facts(connection: Host, path: str, env: str) -> Facts:
    answer = connection.run(facts.script(path, env))
    told = facts.parse(answer.stdout)
    for kind, why in told.problems.items():
        if kind == "engine":
            raise Failure(say("Docker cannot be asked: %s", why), remedy=remedies.GIVE_SUDO, code=Exit.REFUSED)
        raise Failure(
            say("the deployment folder is no git clone: %s", why), remedy=remedies.GIVE_PATH, code=Exit.REFUSED
        )
    if path and told.top:
        fact = say("%s lies in the repository %s", path, told.top)
        raise Failure(fact, remedy=remedies.give_path(told.top), code=Exit.REFUSED)
    if path and not told.containers:
        fact = say("Compose made no container in %s", path)
        raise Failure(
            fact, evidence=_folders(_facts(connection, "", env)), remedy=remedies.GIVE_PATH, code=Exit.REFUSED
        )
    return told


def _read_deployment(report: Report, connection: Host, wanted: Wanted) -> tuple[Wanted, Facts]:
    """Read it, and once more where the env file, whose secrets are to be taken out, has to be asked for."""
    named = "" if wanted.given.get("env") == "none" else wanted.given.get("env.file", ".env")
    told = _facts(connection, wanted.path, named)
    if told.env_state == "there" or not wanted.asks or {"env", "env.file"} & wanted.given.keys():
        return wanted, told
    answer = report.ask(say("env.file, the file with the secrets (there is no %s, Enter: there is none): ", named))
    if not answer:
        return wanted, told
    wanted = replace(wanted, given={**wanted.given, "env.file": answer})
    return wanted, _facts(connection, wanted.path, answer)


def _folders(told: Facts) -> tuple[Message, ...]:
    return tuple(say("%s: %s", folder, services) for folder, services in told.folders.items())


def _choose_folder(report: Report, connection: Host, wanted: Wanted) -> str:
    """Take the folder that this is run in, or the only one that Compose deployed; else ask which is meant."""
    told = _facts(connection, "", "")
    if wanted.local and str(Path.cwd()) in told.folders:
        return str(Path.cwd())
    if len(told.folders) == 1:
        return next(iter(told.folders))
    if not told.folders or not wanted.asks:
        fact = (
            say("which deployment folder is meant was not said") if told.folders else say("Compose runs nothing there")
        )
        raise Failure(fact, evidence=_folders(told), remedy=remedies.GIVE_PATH, code=Exit.USAGE)
    for number, line in enumerate(_folders(told), 1):
        report.line(say("%s. %s", number, line))
    answer = report.ask(say("which folder (its number, or another path)? "))
    return dict(enumerate(told.folders, 1)).get(int(answer) if answer.isdecimal() else 0, answer)


# What is found, and written.


def _answered(report: Report, wanted: Wanted, told: Facts) -> tuple[Found, ...]:
    """Ask, one after the other, what cannot be known; what follows from an answer is not asked."""
    known = dict(wanted.given)
    skipped: set[str] = set()
    while True:
        found = tuple(one for one in decide(told, known) if one.key not in skipped)
        unknown = [one for one in found if one.sure == "unknown"]
        if not unknown:
            return found
        if not wanted.asks:
            evidence = tuple(say("%s: %s", one.key, one.why) for one in unknown)
            remedy = remedies.give_settings(tuple(one.key for one in unknown))
            raise Failure(
                say("some settings cannot be known from the host"), evidence=evidence, remedy=remedy, code=Exit.USAGE
            )
        one = unknown[0]
        answer = report.ask(say("%s (%s): ", one.key, one.why))
        if answer:
            known[one.key] = _read(one.key, answer)
        else:
            # It stays as by default.
            skipped.add(one.key)


def _show(report: Report, found: Sequence[Found]) -> None:
    shown = [one for one in found if one.differs or one.sure != "sure"]
    report.rows(
        (say("%s %s", MARKS[one.sure], one.key), say("%s · %s", _short(one.value), one.why), STYLES.get(one.sure, ""))
        for one in shown
    )
    report.line(say("%s more settings were found to be as by default", len(found) - len(shown)), "dim")


def _short(value: Any) -> str:
    """Show a value in a line, of checks what is asked."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "paths" in value[0]:
        value = {check["name"]: check["url"] + check["paths"][0] for check in value}
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 20)
    line = text.removesuffix("...\n").strip()
    return line if len(line) <= 60 else f"{line[:59]}…"


def _text(report: Report, wanted: Wanted, found: Sequence[Found]) -> str:
    reach = ("local", True, say("no SSH: the commands run on this machine")) if wanted.local else None
    target = [
        reach or ("host", wanted.host, say("as given")),
        ("path", wanted.path, say("the deployment folder, a git clone")),
        *((("sudo", True, say("as given")),) if wanted.sudo else ()),
    ]
    lines = [Line(("default_target",), wanted.name)] if wanted.name != NAME else []
    lines += [Line(("targets", wanted.name, key), value, report.in_words(why)) for key, value, why in target]
    for one in found:
        if one.differs:
            why = say("likely: %s", one.why) if one.sure == "likely" else one.why
            lines.append(Line(tuple(one.key.split(".")), one.value, report.in_words(why)))
    head = say(
        "Written by inv init: what differs from the defaults, and why. inv init --check compares it with the host."
    )
    return write(lines, report.in_words(head))


def _prove(text: str, name: str) -> None:
    """Read it as every verb will; what is wrong with what was given is a Failure before anything is written."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "invoke.yaml").write_text(text, encoding="utf-8")
        settings.load(project=Path(folder), target=name)
