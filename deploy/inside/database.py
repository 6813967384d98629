"""Ask the app's database by the URL that the app itself has, which is never told: in its environment, as its user.

The app is not imported. SQLite is asked by Python's own module, other databases by SQLAlchemy with the app's driver.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BufferedReader
from typing import Any

from deploy.inside.as_worker import User, become, conditions
from deploy.inside.elsewhere import env_file
from deploy.inside.message import ExpectedError
from deploy.inside.sqlite import PATIENCE, file_of, opened
from deploy.inside.tree import Tree
from deploy.inside.wire import ask, one_line

# Carries a statement out, and gives the rows that it answers.
Execute = Callable[[str], Iterable[Sequence[Any]]]
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def query(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Carry out SQL as it comes, and print rows as records; of a statement that ends with \\gexec its answers, too."""
    with connected(settings) as execute:
        carry_out(execute, stream)


def carry_out(execute: Execute, stream: Iterable[bytes]) -> None:
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
        file = sqlite_file(settings)
        become(user)
        with opened(file) as database:
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


def connection(settings: dict[str, Any], _: BufferedReader) -> None:
    """Print what the database's programs need in their environment to connect as the app does."""
    environment, user = surroundings(settings)
    url = url_of(settings, environment)
    become(user)
    try:
        made = importlib.import_module("sqlalchemy.engine.url").make_url(re.sub(r"\Apostgres:", "postgresql:", url))
    except Exception as error:  # noqa: BLE001
        raise ExpectedError(
            "the URL in %s cannot be used (%s)", settings["database"]["url"], type(error).__name__
        ) from None
    if settings["database"]["kind"] == "postgres":
        names = {"PGHOST": made.host, "PGPORT": made.port, "PGUSER": made.username, "PGPASSWORD": made.password}
        names |= {"PGDATABASE": made.database, "PGSSLMODE": made.query.get("sslmode"), "PGCONNECT_TIMEOUT": PATIENCE}
    else:
        names = {"HOT_UPDATE_HOST": made.host or "localhost", "HOT_UPDATE_PORT": made.port or 3306}
        names |= {"HOT_UPDATE_USER": made.username, "MYSQL_PWD": made.password}
    for name, value in {**names, "HOT_UPDATE_DATABASE": made.database}.items():
        if value is not None and not {"\n", "\0"} & set(str(value)):
            ask(f"{name}={value}")


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


def sqlite_file(settings: dict[str, Any]) -> str:
    """Find SQLite's file: where the settings say, or where the URL does."""
    variable = settings["database"]["url"]
    return file_of(settings, variable and url_of(settings, surroundings(settings)[0]))
