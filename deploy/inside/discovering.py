"""Tell what a settings file is written from: what runs in this container, which folder has the code, what the app says.

Given to the container's Python with -c, as root, after the modules that it imports; standard library only, Python 3.9
or newer. On stdin, with NULs between them: what it is told as JSON, `ask` where the app is to be asked too, and the
files that git tracks. It prints a line `facts JSON`, a line `rule PATH` for each that looks like a health check,
and a line `unknown PATH` for what lies among the tracked files and is none.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from deploy.inside.as_worker import become, choose, environment_of, user_of_process
from deploy.inside.processes import Process, all_processes, processes, user_of
from deploy.inside.programs import ancestors, programs
from deploy.inside.wire import answer

_PYTHON = re.compile(r"(python|pypy)[\d.]*\Z")
_CACHE = re.compile(r"(__pycache__|.*\.pyc|\.(pytest|mypy|ruff)_cache)\Z")
_HEALTH = re.compile(r"health[a-z_-]*|heart-?beat|live(z|ness)?|ready|readyz|readiness|alive|ping|status|up")
# As much of what git does not know as is told.
MOST = 500
SECONDS = 60
# What imports the app does not let it start its jobs, write bytecode or change a database.
QUIET = {"ENABLE_SCHEDULER": "false", "PYTHONDONTWRITEBYTECODE": "1", "HOT_UPDATE_RUN": "init"}
READ_ONLY = "-c default_transaction_read_only=on"

# Run by the app's Python, as flask imports the app: argv[1] is what names the app where nothing else does.
ASKING = """
import json, os, sys
from flask import cli
if os.environ.get("FLASK_SKIP_DOTENV") != "1":
    cli.load_dotenv()
app = cli.ScriptInfo(app_import_path=sys.argv[1] or os.environ.get("FLASK_APP") or None).load_app()
migrate = app.extensions.get("migrate")
told = {
    "rules": [str(rule) for rule in app.url_map.iter_rules() if "GET" in rule.methods and not rule.arguments],
    "migrations": str(getattr(migrate, "directory", "") or ""),
    "database": str(app.config.get("SQLALCHEMY_DATABASE_URI") or ""),
    "instance": app.instance_path,
}
print("\\nhot-update-app " + json.dumps(told))
"""


def main() -> None:
    told, ask, *names = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split("\0")
    settings, tracked = json.loads(told), set(filter(None, names))
    found = all_processes()
    here = {pid: one for pid, one in found.items() if pid == 1 or 1 in ancestors(one, found)}
    server, master, worker = serving(settings["servers"], here)
    folder, share = code(folders(here, master), tracked)
    facts: dict[str, Any] = {
        "server": server,
        "folder": folder,
        "share": share,
        "nginx": any(named(one, "nginx") for one in here.values()),
        "logs": sorted(set(logs(here))),
        "there": [path for path in settings["paths"] if os.path.exists(os.path.join(folder, path))],
        "programs": [],
    }
    if share:
        facts["programs"] = [
            {"name": one.name, "supervised": one.supervised}
            for one in programs({"server": server or "\n", "app": folder})
        ]
    if master and worker:
        facts.update(of_server(here, master, worker, folder, ask == "ask"))
        paths = facts.get("rules") or settings["paths_of_health"] if ask else []
        facts["answers"] = [asked(port, path) for port in ports((master, worker)) for path in paths]
    for rule in facts.get("rules", ()):
        answer(f"rule {rule}")
    for name in unknown(folder, tracked) if share else ():
        answer(f"unknown {name}")
    answer(f"facts {json.dumps(facts)}")


def serving(servers: Iterable[str], here: dict[int, Process]) -> tuple[str, int, int]:
    """Find the app server: by which name, its master and a worker of it; else a script of Python's that listens."""
    for server in servers:
        if chosen := choose(processes(server.encode())):
            return server, chosen[0], chosen[1] or chosen[0]
    for pid, one in sorted(here.items()):
        python, *words = decoded(one.argv)
        if _PYTHON.match(os.path.basename(python)) and words and not words[0].startswith("-") and ports([pid]):
            return os.path.basename(words[0]), pid, pid
    return "", 0, 0


def folders(here: dict[int, Process], master: int) -> list[str]:
    """Where the code may lie: where Python programs work, the server first, and the folders above."""
    pids = [master] if master else []
    pids += [pid for pid, one in here.items() if _PYTHON.match(os.path.basename(decoded(one.argv)[0]))]
    places = []
    for pid in pids:
        with contextlib.suppress(OSError), user_of(pid):
            places.append(os.readlink(f"/proc/{pid}/cwd"))
    places.append(os.getcwd())
    return [str(one) for place in places for one in (PurePosixPath(place), *PurePosixPath(place).parents)]


def code(places: list[str], tracked: set[str]) -> tuple[str, float]:
    """Choose the folder that has most of the tracked Python files, and tell how many of them."""
    modules = [name for name in tracked if name.endswith(".py")]

    def share(place: str) -> float:
        return sum(os.path.exists(f"{place}/{name}") for name in modules) / len(modules) if modules else 0.0

    shares = {place: share(place) for place in dict.fromkeys(places) if place != "/"}
    best = max(shares, key=lambda place: shares[place], default="")
    return best, shares.get(best, 0.0)


def unknown(folder: str, tracked: set[str]) -> list[str]:
    """List what lies among the tracked files and is none, the topmost of it; a folder's name ends with a slash."""
    known = {str(one) for name in tracked for one in PurePosixPath(name).parents}
    found: list[str] = []
    for place in sorted(known):
        with contextlib.suppress(OSError):
            for entry in os.scandir(os.path.join(folder, place)):
                name = entry.name if place == "." else f"{place}/{entry.name}"
                if name not in known | tracked and not _CACHE.match(entry.name):
                    found.append(name + "/" * entry.is_dir(follow_symlinks=False))
    return found[:MOST]


def logs(here: dict[int, Process]) -> Iterable[str]:
    """The log files that somebody has open."""
    return (file for pid in here for file in opened(pid) if re.match(r"/.+\.log\Z", file))


def opened(pid: int) -> list[str]:
    with contextlib.suppress(OSError), user_of(pid):
        return [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    return []


def of_server(here: dict[int, Process], master: int, worker: int, folder: str, ask: bool) -> dict[str, Any]:
    try:
        environment, user = environment_of(master), user_of_process(worker)
    except (OSError, LookupError, ValueError):
        return {}
    variables = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}

    def run(*command: str) -> str:
        options = " ".join(filter(None, (variables.get("PGOPTIONS"), READ_ONLY)))
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(
                command,
                cwd=folder,
                env={**variables, **QUIET, "PGOPTIONS": options},
                preexec_fn=lambda: become(user),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                check=False,
            ).stdout.decode("utf-8", "replace")
        return ""

    argv = decoded(here[master].argv)
    python = next(
        (one for one in pythons(argv, variables) if "there" in run(one, "-c", "import flask; print('there')")), ""
    )
    flask = [f"{os.path.dirname(python)}/flask", *on_path("flask", variables)]
    facts: dict[str, Any] = {
        "command": argv,
        "python": python,
        "flask": next((one for one in flask if python and os.access(one, os.X_OK)), ""),
        "urls": {name: url for name, value in variables.items() if (url := place(value, folder))},
    }
    if ask and python:
        facts.update(answered(run, python, argv, variables, folder))
    return facts


def answered(run: Any, python: str, argv: list[str], variables: dict[str, str], folder: str) -> dict[str, Any]:
    """Ask the app itself; `named` is what names it where its environment does not."""
    words = [argv[at] for at, option in enumerate(argv[:-1], 1) if option in ("--app", "-A")]
    words += [word for word in reversed(argv) if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*(\(.*\))?", word)]
    for name in ("", *words[:1]):
        said = run(python, "-c", ASKING, name)
        for line in said.splitlines():
            if line.startswith("hot-update-app "):
                app = json.loads(line[len("hot-update-app ") :])
                url = app["database"]
                return {
                    "named": name,
                    "rules": [rule for rule in app["rules"] if looks_like_health(rule)],
                    "migrations": app["migrations"],
                    "database": place(url, app["instance"]),
                    "variable": next((name for name, value in sorted(variables.items()) if url and value == url), ""),
                }
    return {"unasked": (said.strip().splitlines() or ["?"])[-1]}


def ports(pids: Iterable[int]) -> list[int]:
    """The ports that these processes listen at."""
    sockets = {file for pid in pids for file in opened(pid)}
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}", encoding="ascii") as stream:
            for words in map(str.split, list(stream)[1:]):
                # 0A: it listens.
                if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                    found.add(int(words[1].rpartition(":")[2], 16))
    return sorted(found)


def asked(port: int, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    told: dict[str, Any] = {"url": f"http://localhost:{port}", "path": path, "status": 0, "server": "", "body": ""}
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request("GET", path)
        came = connection.getresponse()
        told["server"] = (came.getheader("Server") or "").lower().partition("/")[0]
        told["status"], told["body"] = came.status, came.read(4000).decode("utf-8", "replace")
    return told


def looks_like_health(rule: str) -> bool:
    return any(_HEALTH.fullmatch(part) for part in rule.lower().strip("/").split("/")[-2:])


def place(url: str, folder: str) -> dict[str, str]:
    """What a URL says of a database, or of Redis, if it is one: its kind, host, user and name, never a password."""
    if not re.match(r"(postgres|mysql|mariadb|sqlite|redis)[a-z0-9+]*://", url):
        return {}
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        name = parts.path[1:]
        if parts.scheme.startswith("sqlite"):
            name = name if name in ("", ":memory:") else os.path.join(folder, name)
        kind = next(
            kind for kind in ("postgres", "mysql", "mariadb", "sqlite", "redis") if parts.scheme.startswith(kind)
        )
        return {"kind": kind, "host": parts.hostname or "", "user": parts.username or "", "name": name}
    return {}


def pythons(argv: list[str], variables: dict[str, str]) -> list[str]:
    """The Pythons that the server may run with, the likeliest first."""
    found = [word for word in argv[:1] if word.startswith("/") and _PYTHON.match(os.path.basename(word))]
    scripts = [word for word in argv[:2] if word.startswith("/")]
    found += [f"{os.path.dirname(word)}/python" for word in scripts]
    if "VIRTUAL_ENV" in variables:
        found.append(variables["VIRTUAL_ENV"] + "/bin/python")
    found += [*on_path("python3", variables), *on_path("python", variables), sys.executable]
    return [one for one in dict.fromkeys(found) if os.access(one, os.X_OK)]


def on_path(program: str, variables: dict[str, str]) -> list[str]:
    return [f"{folder}/{program}" for folder in variables.get("PATH", "").split(":") if folder.startswith("/")]


def named(process: Process, name: str) -> bool:
    return os.path.basename(decoded(process.argv)[0].split(" ")[0]).rstrip(":") == name


def decoded(argv: list[bytes]) -> list[str]:
    return [word.decode("utf-8", "replace") for word in argv]
