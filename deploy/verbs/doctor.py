"""Check the laptop: what a verb needs here before it reaches a host. Nothing is changed, and nobody is logged in."""

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import language, output, remedies, report, settings, words
from deploy.answers import said_by
from deploy.beside import Beside
from deploy.errors import Exit, Failure
from deploy.message import Printed, Told, counted, say
from deploy.plan import Finding
from deploy.settings import Settings

if TYPE_CHECKING:
    from deploy.host.authentication import KeyFile
    from deploy.host.known_hosts import Entry
    from deploy.host.ssh import Hop

# Seconds that a host has to say that it is there, and a program of this machine to answer.
PATIENCE, LOCAL_PATIENCE = 4.0, 5.0
# Seconds by which a file may be younger than the clock: that of a file server may differ.
AHEAD = 60


def doctor(project: Path, extra: Path | None, target: str, *, offline: bool) -> None:
    """Report how this machine is, for all targets or for what one needs; Failure where something is wrong."""
    found = [*_programs(project), *_here(project, extra)]
    complete = all(one.level == "ok" for one in found if one.check == "packages")
    try:
        targets = (
            settings.choose(project=project, extra=extra, target=target).targets
            if target
            else settings.every(project=project, extra=extra)
        )
    except Failure as failure:
        found += [Finding("refusal", "settings", told, failure.remedy) for told in failure.evidence or (failure.fact,)]
    else:
        found += [settings_are(targets), git_is(targets)]
        # Fabric and Paramiko tell the rest.
        found += _ways(targets, offline=offline) if complete else ()
    report.new().findings(found)
    if wrong := [one for one in found if one.level == "refusal"]:
        checks = tuple(dict.fromkeys(one.check for one in wrong))
        raise Failure(say("wrong on this machine: %s", checks), remedy=wrong[0].remedy, code=Exit.REFUSED)


# ── This machine ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _programs(project: Path) -> Iterator[Finding]:
    wanted = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield python_is(platform.python_version(), wanted["requires-python"])
    yield packages_are(_versions(wanted["dependencies"]), project)


def python_is(version: str, wanted: str) -> Finding:
    told = say("Python %s, %s", version, sys.executable)
    if within(version, wanted):
        return Finding("ok", "python", told)
    return Finding("refusal", "python", say("%s; pyproject.toml wants %s", told, wanted), remedies.NEWER_PYTHON)


def _versions(wanted: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Give what is there of each package, empty where it is not, and what is wanted of it."""
    found = {}
    for requirement in wanted:
        name, bounds = re.split(r"(?=[<>=!~ ])", requirement, maxsplit=1)
        there = ""
        with suppress(metadata.PackageNotFoundError):
            there = metadata.version(name)
        found[name] = (there, bounds)
    return found


def packages_are(versions: Mapping[str, tuple[str, str]], project: Path) -> Finding:
    wrong = [
        say("%s %s (pyproject.toml wants %s)", name, there or say("is missing"), bounds)
        for name, (there, bounds) in versions.items()
        if not (there and within(there, bounds))
    ]
    if wrong:
        remedy = remedies.install_packages(sys.executable, str(project))
        return Finding("refusal", "packages", say("%s", tuple(wrong)), remedy)
    return Finding("ok", "packages", say("%s", tuple(f"{name} {there}" for name, (there, _) in versions.items())))


def within(version: str, bounds: str) -> bool:
    """Is a version within bounds such as >=2.2,<3? Others than these two kinds are passed over."""
    for kind, bound in re.findall(r"(>=|<)\s*([0-9.]+)", bounds):
        reached = _numbers(version) >= _numbers(bound)
        if reached != (kind == ">="):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    """Give the numbers of a version; trailing zeros count for nothing."""
    found = re.match(r"[0-9.]*", version)
    numbers = [int(number) for number in found[0].split(".") if number] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _here(project: Path, extra: Path | None) -> Iterator[Finding]:
    chosen = language.chosen(os.environ, project / "invoke.yaml", *([extra] if extra else []))
    size = shutil.get_terminal_size()
    where: Told = say("a terminal of %s columns", size.columns) if output.is_terminal("stdout") else say("no terminal")
    yield locale_is(output.encoding_of("stdout"), where, chosen)
    files = [project / name for name in ("invoke.yaml", "tasks.py", ".git/HEAD", ".git/index")]
    youngest = max((file.stat().st_mtime, file.name) for file in files if file.exists())
    yield clock_is(time.time(), *youngest, _synchronised())


def locale_is(encoding: str, where: Told, chosen: str) -> Finding:
    told = say("%s, %s, lang: %s", encoding.upper(), where, chosen)
    if encoding.lower().replace("-", "") == "utf8":
        return Finding("ok", "locale", told)
    fact = say("%s; what it has no sign for is written out", told)
    return Finding("warning", "locale", fact, remedies.USE_UTF8)


def clock_is(now: float, youngest: float, file: str, synchronised: str) -> Finding:
    """Judge the clock by the youngest file of the project, and by what the system says of it: yes, no or nothing."""
    told = say("%s UTC", _moment(now))
    if youngest > now + AHEAD:
        fact = say("%s, but %s was written at %s", told, file, _moment(youngest))
        return Finding("warning", "clock", fact, remedies.SET_CLOCK)
    if synchronised == "no":
        return Finding("warning", "clock", say("%s, not synchronized by NTP", told), remedies.SET_CLOCK)
    return Finding("ok", "clock", say("%s, synchronized by NTP", told) if synchronised == "yes" else told)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _synchronised() -> str:
    return _said_by("timedatectl", "show", "--property=NTPSynchronized", "--value")


def _said_by(program: str, *words: str) -> str:
    """Give the first line that a program of this machine prints, empty where it cannot."""
    with suppress(OSError, subprocess.SubprocessError):
        ended = subprocess.run(
            [program, *words], capture_output=True, text=True, errors="replace", timeout=LOCAL_PATIENCE, check=True
        )
        return (ended.stdout + ended.stderr).partition("\n")[0].strip()
    return ""


# ── The settings, and what they need here ─────────────────────────────────────────────────────────────────────────────


def settings_are(targets: Collection[Settings]) -> Finding:
    names = tuple(one.target.name for one in targets)
    if waiting := [one.target for one in targets if settings.is_placeholder(one.target)]:
        first = waiting[0]
        fact = say("targets: %s; the host of %s is still the placeholder %s", names, first.name, first.host)
        return Finding("warning", "settings", fact, remedies.replace_placeholder(first.name))
    return Finding("ok", "settings", say("targets: %s", names))


def git_is(targets: Iterable[Settings]) -> Finding:
    if version := _said_by("git", "--version"):
        return Finding("ok", "git", Printed(version))
    needing = tuple(one.target.name for one in targets if one.git.via == "laptop")
    if needing:
        return Finding("refusal", "git", say("is missing; git.via is laptop for %s", needing), remedies.INSTALL_GIT)
    fact = say("is missing; only git.via: laptop and what is built here need it")
    return Finding("warning", "git", fact, remedies.INSTALL_GIT)


# ── The way to each host ──────────────────────────────────────────────────────────────────────────────────────────────


def _ways(targets: Iterable[Settings], *, offline: bool) -> Iterator[Finding]:
    """Check what the way to each host needs, by every gateway that ssh_config names."""
    from deploy.host import ssh

    remote = [one for one in targets if not one.target.local and not settings.is_placeholder(one.target)]
    if not remote:
        return
    yield ssh_is(_said_by("ssh", "-V"))
    hops: dict[str, Hop] = {}
    for one in remote:
        try:
            hops |= {hop.label: hop for hop in ssh.way(one.target.host, one.ssh)}
        except Failure as failure:
            fact = say("%s: %s", one.target.name, failure.fact)
            told = say("%s: %s", fact, failure.evidence) if failure.evidence else fact
            yield Finding("refusal", "ssh_config", told, failure.remedy)
    asked = {} if offline else {hop.label: Beside(partial(_greeting, hop)) for hop in hops.values() if not hop.behind}
    end = time.monotonic() + PATIENCE
    for agent in dict.fromkeys(hop.way_in.agent for hop in hops.values()):
        holder = next(hop.way_in for hop in hops.values() if hop.way_in.agent == agent)
        yield agent_is(agent, holder.agents_keys() if Path(agent).exists() else None)
    for hop in hops.values():
        yield from keys_are(hop.label, hop.way_in.files, hop.way_in.key_files(), hop.way_in.agents_keys() or ())
        yield known_is(hop.label, hop.name, hop.known, hop.files, hop.ssh)
        if not offline:
            yield behind(hop.label, hop.behind) if hop.behind else _reached(hop, asked[hop.label], end)


def ssh_is(version: str) -> Finding:
    if version:
        return Finding("ok", "ssh", Printed(version))
    return Finding(
        "warning", "ssh", say("is missing; Paramiko reads ssh_config, as far as it can"), remedies.INSTALL_SSH
    )


def agent_is(socket: str, keys: Collection[object] | None) -> Finding:
    if not socket:
        return Finding("ok", "agent", say("there is none (SSH_AUTH_SOCK is not set)"))
    if keys is None:
        return Finding("warning", "agent", say("none answers at %s", socket), remedies.START_AGENT)
    return Finding("ok", "agent", say("%s: %s", socket, counted(len(keys), "%s key", "%s keys")))


def keys_are(
    label: Told, names: Collection[Path], files: "Collection[KeyFile]", held: Collection[tuple[bytes, str]]
) -> Iterator[Finding]:
    """Judge the keys that a machine may be shown: the files that ssh_config and the settings name, and the agent's."""
    usable = [str(file.path) for file in files if not file.problem] + [say("%s of the agent", name) for _, name in held]
    for file in files:
        path = str(file.path)
        if file.exposed:
            fact = say("%s: others can read %s, so that ssh refuses it", label, path)
            yield Finding("warning", "keys", fact, remedies.protect_key(path))
        if file.locked and not file.held:
            fact = say("%s: %s needs its passphrase, and the agent does not have it", label, path)
            yield Finding("warning" if usable else "refusal", "keys", fact, remedies.add_key(path))
        elif file.problem and not file.locked:
            yield Finding("warning", "keys", say("%s: %s", label, file.problem), remedies.REPLACE_KEY_FILE)
    if usable:
        yield Finding("ok", "keys", say("%s: %s", label, words.names(usable)))
    elif not any(file.locked for file in files):
        looked = words.names([str(name) for name in names])
        yield Finding("refusal", "keys", say("%s: there is no key; looked for: %s", label, looked), remedies.MAKE_KEY)


def known_is(label: Told, name: str, known: "Collection[Entry]", files: Iterable[Path], ssh: str) -> Finding:
    """Judge what the known_hosts files say of a machine, before it has shown a key."""
    revoked = {entry.key.blob for entry in known if entry.marker == "@revoked"}
    good = [entry for entry in known if not entry.marker and entry.key.blob not in revoked]
    if good:
        keys = tuple(say("%s (%s)", entry.key.fingerprint, entry.place) for entry in good)
        return Finding("ok", "known_hosts", say("%s: %s", label, words.names(keys)))
    if revoked:
        fact = say("%s: every key of %s that is known is revoked", label, name)
        return Finding("refusal", "known_hosts", fact, remedies.VERIFY_KEY)
    looked = tuple(map(str, files))
    if known:
        fact = say("%s: for %s only a certificate authority is known; the key itself must be", label, name)
    else:
        fact = say("%s: %s is not in %s", label, name, looked)
    return Finding("refusal", "known_hosts", fact, remedies.learn_key(ssh))


def behind(label: Told, gateway: Told) -> Finding:
    return Finding("ok", "reach", say("%s: is reached through %s, and was not asked", label, gateway))


def _greeting(hop: "Hop") -> tuple[str, float, bytes]:
    """Connect to a machine's port: its address, after how many milliseconds, and what it says first."""
    began = time.monotonic()
    with socket.create_connection((hop.host, hop.port), timeout=PATIENCE) as connected:
        taken = (time.monotonic() - began) * 1000
        return connected.getpeername()[0], taken, connected.recv(255)


def _reached(hop: "Hop", asked: "Beside[tuple[str, float, bytes]]", end: float) -> Finding:
    try:
        return greeted(hop.label, *asked.result(max(0.0, end - time.monotonic())))
    except OSError as error:
        return unreached(hop.label, hop.host, error)


def greeted(label: Told, address: str, taken: float, said: bytes) -> Finding:
    line = said.decode("utf-8", "replace").partition("\n")[0].strip()
    if said.startswith(b"SSH-"):
        return Finding("ok", "reach", say("%s: %s answers in %s ms: %s", label, address, f"{taken:.0f}", line))
    if line:
        fact = say("%s: at %s something else than sshd answers: %s", label, address, line)
    else:
        fact = say("%s: %s closed the connection", label, address)
    return Finding("refusal", "reach", fact, remedies.CHECK_PORT)


def unreached(label: Told, host: str, error: OSError) -> Finding:
    match error:
        case socket.gaierror():
            return Finding("refusal", "reach", say("%s: the name %s is not resolved", label, host), remedies.CHECK_NAME)
        case TimeoutError():
            fact = say("%s: no answer within %s s", label, f"{PATIENCE:.0f}")
            return Finding("refusal", "reach", fact, remedies.CHECK_NETWORK)
        case ConnectionRefusedError():
            return Finding("refusal", "reach", say("%s: refused the connection", label), remedies.CHECK_SSHD)
    return Finding("refusal", "reach", say("%s: %s", label, said_by(error)), remedies.CHECK_NETWORK)
