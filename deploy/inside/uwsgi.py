"""uWSGI replaces its workers by itself, one after the other: its chain reload, asked for through its FIFO or a file."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import Any

from deploy.inside.message import ExpectedError
from deploy.inside.processes import Process, environment_of, user_of
from deploy.inside.wire import text

UWSGI = b"uwsgi"
# Options without a value, of those that stand before others on a command line.
FLAGS = {"master", "lazy", "lazy-apps", "need-app", "die-on-term", "vacuum", "enable-threads", "single-interpreter"}
SHORT = {"M": "master", "p": "processes", "workers": "processes"}
OFF = ("0", "false", "no", "off")
FIFO, FILE = "master-fifo", "touch-chain-reload"
# What is written to its FIFO to ask for a chain reload.
CHAIN = b"c"


def chain_settings(master: Process) -> dict[str, Any]:
    """Read what it goes by: as Gunicorn tells it, and that it reloads in a chain; ExpectedError says why it does not.

    Each worker has to load the app by itself (lazy-apps), as otherwise those of a chain reload have the master's.
    """
    options, config = options_of(master)
    if "cheaper" in options:
        raise ExpectedError("the number of uWSGI's workers changes by itself (cheaper)")
    if not fifo_of(master) and FILE not in options:
        raise ExpectedError("uWSGI has neither a %s nor a %s", FIFO, FILE)
    lazy = any(options.get(name, OFF[0]).lower() not in OFF for name in ("lazy-apps", "lazy"))
    return {"preload": not lazy, "workers": int(options.get("processes", "1")), "config": config, "chain": True}


def ask_chain(master: Process) -> None:
    """Ask it to replace its workers, one after the other."""
    if fifo := fifo_of(master):
        descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(descriptor, CHAIN)
        finally:
            os.close(descriptor)
    else:
        os.utime(at_home(master, options_of(master)[0][FILE]))


def fifo_of(master: Process) -> str:
    """Find the FIFO that it is commanded through, which it has open; nothing where there is none."""
    with user_of(master.pid):
        for name in os.listdir(f"/proc/{master.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                place = os.readlink(f"/proc/{master.pid}/fd/{name}")
                if place.startswith("/") and stat.S_ISFIFO(os.stat(place).st_mode):
                    return place
    return ""


def options_of(master: Process) -> tuple[dict[str, str], str | None]:
    """Read what it was told, in its environment, by an ini file, and on its command line; and name that file."""
    options, config = dict[str, str](), None
    prefix = UWSGI.upper() + b"_"
    for variable, content in environment_of(master.pid).items():
        if variable.startswith(prefix):
            options[text(variable[len(prefix) :]).lower().replace("_", "-")] = text(content)
    for name, value in told(list(map(text, master.argv[1:]))):
        if name != "ini":
            options[SHORT.get(name, name)] = value
            continue
        file, _, section = value.partition(":")
        config = at_home(master, file)
        options |= {SHORT.get(key, key): found for key, found in ini(config, section or text(UWSGI))}
    if unknown := [
        name for name in (FILE, "processes") if "%" in options.get(name, "") or "$(" in options.get(name, "")
    ]:
        raise ExpectedError("what uWSGI takes for %s cannot be told: %s", unknown[0], options[unknown[0]])
    return options, config


def told(words: list[str]) -> Iterator[tuple[str, str]]:
    """Tell each option of a command line with its value."""
    while words:
        word = words.pop(0)
        name, given, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            if word.endswith(".ini") or ".ini:" in word:
                yield "ini", word
        elif given or name in FLAGS or not words or words[0].startswith("-"):
            yield name, value or "true"
        else:
            yield name, words.pop(0)


def ini(file: str, section: str) -> Iterator[tuple[str, str]]:
    """Tell each option of a section of an ini file with its value."""
    here = ""
    with open(os.fsencode(file), encoding="utf-8", errors="replace") as stream:
        for line in map(str.strip, stream):
            if line.startswith("["):
                here = line.strip("[]")
            elif here == section and "=" in line and line[0] not in "#;":
                name, _, value = line.partition("=")
                yield name.strip(), value.strip()


def at_home(master: Process, path: str) -> str:
    """Say where a path of its options lies."""
    with user_of(master.pid):
        return os.path.join(os.readlink(f"/proc/{master.pid}/cwd"), path)
