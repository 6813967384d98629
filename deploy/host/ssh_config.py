"""What ssh_config says of a host: as OpenSSH itself tells it, or without OpenSSH as Paramiko reads the files."""

import glob
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterable
from os import environ, getuid
from pathlib import Path
from typing import Any

import paramiko

from deploy import remedies
from deploy.answers import said_by
from deploy.errors import Exit, Failure
from deploy.message import Printed, Told, say

# Seconds for ssh to tell: a Match exec of the user's runs a command.
_PATIENCE = 30

_USERS, _EVERYBODYS = "~/.ssh/config", "/etc/ssh/ssh_config"
USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"

# What is used of what ssh tells. Everything else it tells too, as its defaults.
_USED = {
    *("hostname", "user", "port", "proxyjump", "proxycommand", "hostkeyalias", "userknownhostsfile"),
    *("globalknownhostsfile", "identityfile", "identitiesonly", "identityagent", "certificatefile"),
}


class Lookup(paramiko.SSHConfig):
    """ssh_config as it holds for one host, whoever is asked for."""

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self._settings = settings

    def lookup(self, hostname: str) -> Any:
        return self._settings


def read(host: str, user: str | None, port: int | None, identity: str) -> Lookup:
    """Read what holds for a host; with a private key of the settings, that one and those of ssh_config."""
    ssh = shutil.which("ssh")
    try:
        return Lookup(_as_ssh_tells(ssh, host, user, port, identity) if ssh else _as_paramiko_reads(host))
    except (paramiko.SSHException, OSError, subprocess.SubprocessError) as error:
        raise _unreadable(said_by(error)) from error


def files(value: str) -> tuple[Path, ...]:
    """Read a list of files. OpenSSH tells it without quotes, so what exists decides how far a name goes."""
    words, found = value.replace('"', "").split(" "), []
    while words:
        names = (" ".join(words[:count]) for count in range(len(words), 0, -1))
        name = next((name for name in names if Path(name).expanduser().exists()), words[0])
        words = words[name.count(" ") + 1 :]
        if name not in ("", "none"):
            found.append(Path(name).expanduser())
    return tuple(found)


def agent(value: str | None) -> str:
    """Read IdentityAgent: the socket of the agent to use, empty for none; without a value the environment's."""
    if value is None or value == "SSH_AUTH_SOCK":
        return environ.get("SSH_AUTH_SOCK", "")
    if value.lower() == "none":
        return ""
    path = re.sub(r"\$\{?(\w+)\}?", lambda found: environ.get(found[1], ""), value.replace("%d", str(Path.home())))
    return str(Path(path).expanduser())


def _as_ssh_tells(ssh: str, host: str, user: str | None, port: int | None, identity: str) -> dict[str, Any]:
    options = ["-l", user] if user else []
    options += ["-p", str(port)] if port else []
    options += ["-i", str(Path(identity).expanduser())] if identity else []
    # ssh knows no HOME but that of the account.
    elsewhere = Path.home() != Path(pwd.getpwuid(getuid()).pw_dir)
    includes = f'Include "{Path(_USERS).expanduser()}"\nInclude {_EVERYBODYS}\n' if elsewhere else ""
    options += ["-F", "/dev/stdin"] if elsewhere else []
    command = [ssh, "-G", *options, "--", host]
    ended = subprocess.run(command, input=includes, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if ended.returncode != 0:
        raise _unreadable(*map(Printed, ended.stderr.splitlines()[-3:]))
    pairs = [line.partition(" ")[::2] for line in ended.stdout.splitlines()]
    used = [(key, value) for key, value in pairs if key in _USED]
    # Paramiko knows the tokens in the values: %h, %p and their like.
    lines = (f"{key} {value}\n" for key, value in used if key != "certificatefile")
    settings: dict[str, Any] = dict(paramiko.SSHConfig.from_text("".join(lines)).lookup(host))
    settings["certificatefile"] = [value for key, value in used if key == "certificatefile"]
    if elsewhere and settings.get("userknownhostsfile") == _default_known_hosts():
        settings["userknownhostsfile"] = USER_KNOWN_HOSTS
    return settings


def _default_known_hosts() -> str:
    return USER_KNOWN_HOSTS.replace("~", pwd.getpwuid(getuid()).pw_dir)


def _as_paramiko_reads(host: str) -> dict[str, Any]:
    """Read the files as far as Paramiko understands them; a line that it would pass over is named."""
    config = paramiko.SSHConfig()
    for file in (Path(_USERS).expanduser(), Path(_EVERYBODYS)):
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            _refuse_unknown(file, text.splitlines())
            config.parse(text.splitlines())
    settings: dict[str, Any] = dict(config.lookup(host))
    settings["certificatefile"] = [settings["certificatefile"]] if "certificatefile" in settings else []
    return settings


def _refuse_unknown(file: Path, lines: Iterable[str]) -> None:
    for number, line in enumerate(lines, start=1):
        directive, *words = line.replace("=", " ", 1).replace('"', "").split() or [""]
        patterns = (str(file.parent / Path(word).expanduser()) for word in words)
        included = any(glob.glob(pattern) for pattern in patterns)  # noqa: PTH207 - Path.glob takes no absolute ones
        criteria = {word.lower() for word in words} & {"final", "localnetwork", "tagged", "version", "sessiontype"}
        if (directive.lower() == "include" and included) or (directive.lower() == "match" and criteria):
            raise _unreadable(
                say(
                    "%s:%s: %s is understood by OpenSSH only, which is not installed here",
                    str(file),
                    number,
                    line.strip(),
                )
            )


def _unreadable(*evidence: Told) -> Failure:
    return Failure(
        say("ssh_config cannot be read"), evidence=evidence, remedy=remedies.MEND_SSH_CONFIG, code=Exit.USAGE
    )
