"""Ask the app's database by the URL that the app itself has, which is never told: in its environment, as its user.

The app is not imported. SQLite is asked by Python's own module, other databases by SQLAlchemy with the app's driver.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedReader
from typing import Any

from deploy.inside.as_worker import User, become, conditions
from deploy.inside.elsewhere import env_file
from deploy.inside.message import ExpectedError
from deploy.inside.processes import processes
from deploy.inside.tree import Tree
from deploy.inside.wire import ask, one_line

# Carries a statement out, and gives the rows that it answers.
Execute = Callable[[str], Iterable[Sequence[Any]]]
# Seconds to wait for a connection, and for who writes to SQLite.
PATIENCE = 10
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def query(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Carry out SQL as it comes, and print rows as records; of a statement that ends with \\gexec its answers, too."""
    with connected(settings) as execute:
        for statement, again in statements(stream):
            rows = list(execute(statement))
            if again:
                rows = [found for row in rows for cell in row for found in execute(str(cell))]
            for row in rows:
                ask("\t".join(map(told, row)))


def statements(stream: Iterable[bytes]) -> Iterator[tuple[str, bool]]:
    """Read them, each as soon as it is whole: it ends at the end of a line, with ; or with \\gexec."""
    text = ""
    for line in stream:
        text += line.decode("utf-8")
        whole = re.fullmatch(r"(?s)\s*(.*?)\s*(;|\\gexec)\s*", text)
        if whole and text.endswith("\n"):
            yield whole[1], whole[2] != ";"
            text = ""


def told(value: Any) -> str:
    """Write a value as psql does."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "t", False: "f"}[value]
    words = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return words.translate(_ESCAPES)


@contextlib.contextmanager
def connected(settings: dict[str, Any]) -> Iterator[Execute]:
    """Connect as the app does. What is changed is so at once: between two statements nothing is held."""
    environment, user = surroundings(settings)
    if settings["database"]["kind"] == "sqlite":
        file = sqlite_file(settings, environment)
        become(user)
        with sqlite(file) as database:
            yield database.execute
        return
    url = url_of(settings, environment)
    os.environb.clear()
    os.environb.update(environment)
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(PATIENCE))
    become(user)
    with sqlalchemy_connection(settings, url) as connection:

        def execute(statement: str) -> list[Sequence[Any]]:
            answered = connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
            return list(answered) if answered.returns_rows else []

        yield execute


@contextlib.contextmanager
def sqlalchemy_connection(settings: dict[str, Any], url: str) -> Iterator[Any]:
    """Open one; whatever goes wrong is told in one line, without the URL."""
    variable = settings["database"]["url"]
    try:
        sqlalchemy = importlib.import_module("sqlalchemy")
        # As older versions were given it.
        engine = sqlalchemy.create_engine(re.sub(r"\Apostgres:", "postgresql:", url))
    except Exception as error:  # noqa: BLE001  (a driver may raise anything, and an older SQLAlchemy tells the URL)
        raise ExpectedError("the URL in %s cannot be used (%s)", variable, type(error).__name__) from None
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection
    except Exception as error:  # noqa: BLE001
        # The driver's own words: SQLAlchemy's go on with the statement.
        why = one_line(getattr(error, "orig", None) or error)
        for secret in filter(None, {url, engine.url.password, urllib.parse.urlsplit(url).password}):
            why = why.replace(str(secret), "***")
        raise ExpectedError("%s", why) from None


def surroundings(settings: dict[str, Any]) -> tuple[dict[bytes, bytes], User]:
    """Tell what the app server runs with and as whom: the container's environment and the code's owner without one."""
    environment, user = conditions(settings["server"])
    if user is None or settings["user"]:
        uid, gid = Tree(settings).owner()
        user = User(uid, gid, (gid,))
    return (dict(os.environb) if environment is None else environment), user


def url_of(settings: dict[str, Any], environment: dict[bytes, bytes]) -> str:
    """Find it in the variable of the settings, as the server was started with or as the env file there has it."""
    name = settings["database"]["url"]
    written = env_file(os.path.join(settings["app"], settings["env"]))
    url = environment.get(os.fsencode(name)) or written.get(os.fsencode(name))
    if not url:
        raise ExpectedError("the app's container has no variable %s", name)
    return os.fsdecode(url)


def sqlite_file(settings: dict[str, Any], environment: dict[bytes, bytes]) -> str:
    """Find SQLite's file: where the settings say, or by the URL, as Flask-SQLAlchemy or SQLAlchemy take it."""
    if not settings["database"]["url"]:
        return existing([settings["database"]["name"]])
    found = re.match(r"sqlite(?:\+\w+)?:///(?:file:)?([^?]+)", url_of(settings, environment))
    if not found or found[1] == ":memory:":
        raise ExpectedError("the URL in %s names no file of SQLite", settings["database"]["url"])
    folders = [os.path.join(settings["app"], "instance"), settings["app"], *working_folders(settings)]
    return existing([os.path.join(folder, found[1]) for folder in folders])


def existing(files: list[str]) -> str:
    """Give the first that is there, by its own name."""
    there = next(filter(os.path.isfile, files), None)
    if there is None:
        raise ExpectedError("no file %s", files[0])
    return os.path.realpath(there)


def working_folders(settings: dict[str, Any]) -> Iterator[str]:
    for process in processes(settings["server"].encode()):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/{process.pid}/cwd")


@contextlib.contextmanager
def sqlite(file: str, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """Open a file of SQLite, by default to read it."""
    place = f"file:{urllib.parse.quote(file)}?mode={mode}"
    try:
        with contextlib.closing(sqlite3.connect(place, uri=True, timeout=PATIENCE, isolation_level=None)) as database:
            yield database
    except sqlite3.Error as error:
        raise ExpectedError("%s: %s", file, str(error)) from None
