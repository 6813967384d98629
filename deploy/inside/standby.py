"""Flask-Migrate in a process that keeps the app imported: what a proof has imported, the migration need not again.

Given to the container's Python with -c, as the workers' user; standard library and Flask only, Python 3.9 or newer.
`serve RUN` stands by. `ask RUN SECONDS FLASK WORD...` has a command carried out there, `db` of flask or our `where`,
and waits so long for it to stand by; where nobody does, it is carried out by the asker itself. Any process of the app
can take the name that they meet under, so each looks at who is at the other end before it says a word.
"""

from __future__ import annotations

import sys

# As with the flask command, what lies in the folder that it runs in is none of the modules here.
sys.path = [place for place in sys.path if place]

import array
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import signal
import socket
import stat
import struct
import time
import traceback
from typing import Any, NamedTuple

# Seconds without a command after which the run is taken for lost.
IDLE = 3600.0
# Seconds between two attempts to reach who will stand by soon.
PAUSE = 0.05
# Seconds that the other end has for the next word, until the command has begun.
WORD = 30.0
LONGEST = 65536
# How a session of the database begins: what libpq sets in one of PostgreSQL, and statements, a line each, for others.
# Each command comes with its own.
STATEMENTS = "HOT_UPDATE_SESSION"
SESSION = ("PGOPTIONS", STATEMENTS)
# The one command that is not flask's.
PLACE = ["where"]


def address(run: str) -> str:
    """Name a socket that is no file, and so goes with its process."""
    return f"\0hot-update {run}"


def peer(connection: socket.socket) -> tuple[int, int]:
    """Tell the process at the other end, and its user."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, user, _ = struct.unpack("3i", told)
    return pid, user


def of_run(connection: socket.socket, run: str) -> bool:
    """Tell whether the run started who is at the other end: its mark can be copied, a parent outside cannot."""
    pid, user = peer(connection)
    try:
        return user == os.getuid() and marked(pid, run) and from_outside(pid)
    except (OSError, ValueError):
        # It has gone, or is a process that this container does not see.
        return False


def marked(pid: int, run: str) -> bool:
    with open(f"/proc/{pid}/environ", "rb") as stream:
        return b"HOT_UPDATE_RUN=" + os.fsencode(run) in stream.read().split(b"\0")


def from_outside(pid: int) -> bool:
    """Tell who came in by docker exec: the line of parents leaves the container, where the app's ends at process 1."""
    while pid > 1:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            pid = int(stream.read().rpartition(b")")[2].split()[1])
    return pid == 0


class Asked(NamedTuple):
    """A command, how its sessions are to begin, and the descriptors that its output goes to."""

    words: list[str]
    session: list[str]
    output: list[int]


def serve(run: str) -> None:
    """Carry out commands until one fails or may have changed something: one that shows SQL leaves all as it was."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        try:
            listener.bind(address(run))
        except OSError as taken:
            # Who asks sees that it is none of the run that listens there.
            sys.exit(f"nobody stands by for {run}: {taken}")
        listener.listen()
        begin_sessions()
        flask = importlib.import_module("flask.cli")
        # Remembers the app from one command to the next.
        info = script_info(flask)
        again = True
        while again:
            with accept(listener, run) as connection:
                asked = receive(connection)
                again = asked is None or answer(connection, asked, flask.cli, info)


def script_info(flask: Any) -> Any:
    """Make what finds the app: since Flask 2.2 it is the command's options that read FLASK_APP, and not it."""
    return flask.ScriptInfo(os.environ.get("FLASK_APP") or None)


def accept(listener: socket.socket, run: str) -> socket.socket:
    """Wait for somebody of the run; who else connects is told nothing, and does not prolong the wait."""
    deadline = time.monotonic() + IDLE
    while True:
        listener.settimeout(max(deadline - time.monotonic(), PAUSE))
        connection, _ = listener.accept()
        if of_run(connection, run):
            return connection
        connection.close()
        if time.monotonic() > deadline:
            sys.exit("nobody of the run came")


def receive(connection: socket.socket) -> Asked | None:
    """Read what is asked; None where it is nothing that we could do, or nobody waits for it any more."""
    output = array.array("i")
    try:
        connection.settimeout(WORD)
        told, handed, flags, _ = connection.recvmsg(LONGEST, socket.CMSG_SPACE(2 * output.itemsize))
        for level, kind, data in handed:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                output.frombytes(data[: len(data) - len(data) % output.itemsize])
        asked = understood(told, list(output))
        if asked and not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            return asked
    except OSError:
        pass
    for descriptor in output:
        os.close(descriptor)
    return None


def understood(told: bytes, output: list[int]) -> Asked | None:
    try:
        words, session = json.loads(told)
    except (ValueError, TypeError, RecursionError):
        return None
    lists = isinstance(words, list) and words and isinstance(session, list) and len(session) == len(SESSION)
    texts = [*words, *session] if lists else [None]
    if len(output) != 2 or not all(isinstance(text, str) and "\0" not in text for text in texts):
        return None
    return Asked(words, session, output)


def answer(connection: socket.socket, asked: Asked, group: Any, info: Any) -> bool:
    """Carry out what is asked, with the asker's output as ours; tell whether another command may follow."""
    words, session, output = asked
    if session != session_wanted():
        # A session that is open goes on as it began: a read-only one would fail the migration.
        os.environ.update({name: session[place] for place, name in enumerate(SESSION)})
        disconnect()
        if connected(connection):
            return False
    redirect(*output)
    try:
        connection.send(b"begun")
    except OSError:
        # Who asked waits no longer, and carries it out by itself.
        silence()
        return True
    sys.argv = ["flask", *words]
    status = status_of(group, info, words)
    silence()
    with contextlib.suppress(OSError):
        connection.send(bytes([status]))
    return status == 0 and ("--sql" in words or words == PLACE)


def silence() -> None:
    """Let go of the asker's output: nobody sees its end as long as we might write more."""
    redirect(os.open(os.devnull, os.O_WRONLY), os.open(os.devnull, os.O_WRONLY))


def session_wanted() -> list[str]:
    return [os.environ.get(name, "") for name in SESSION]


def begin_sessions() -> None:
    """Have each session that SQLAlchemy opens from now on begin with the statements that are wanted then."""
    with contextlib.suppress(ImportError):
        event, engine = (importlib.import_module(f"sqlalchemy.{name}") for name in ("event", "engine"))

        def begin(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            for statement in os.environ.get(STATEMENTS, "").splitlines():
                cursor.execute(statement)
            cursor.close()

        event.listen(engine.Engine, "connect", begin)


def disconnect() -> None:
    """End the sessions that wait for their next use in a pool of SQLAlchemy's."""
    engines = sys.modules.get("sqlalchemy.engine")
    if engines is None:
        return
    for found in gc.get_objects():
        # By its type: what stands in for another object would have to ask the app for it.
        if issubclass(type(found), engines.Engine):
            with contextlib.suppress(Exception):
                found.dispose()


def connected(asker: socket.socket) -> bool:
    """Tell whether we have a connection to anybody but who asks."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            if descriptor != asker.fileno() and stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as other:
                    other.getpeername()
                return True
    return False


def redirect(*descriptors: int) -> None:
    """Make them our output and our error output."""
    for own, descriptor in enumerate(descriptors, 1):
        os.dup2(descriptor, own)
        os.close(descriptor)


def status_of(group: Any, info: Any, words: list[str]) -> int:
    """Carry out one of flask's commands as its own process would, and return the exit status."""
    try:
        if words == PLACE:
            tell_place(info)
            return 0
        group.main(words, "flask", obj=info)
    except SystemExit as ended:
        if isinstance(ended.code, int):
            return ended.code & 255
        if ended.code is None:
            return 0
        print(ended.code, file=sys.stderr)  # noqa: T201
    except BaseException:  # noqa: BLE001  (a migration is code, and may raise anything)
        traceback.print_exc()
    else:
        return 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 1


def tell_place(info: Any) -> None:
    """Say where Alembic, as the app configures it, keeps the revision (-: in no schema of its own), and which it is."""
    environment = importlib.import_module("alembic.runtime.environment")
    scripts = importlib.import_module("alembic.script")

    def look(heads: Any, context: Any) -> list[Any]:
        place = (
            "hot-update-place",
            context.version_table_schema or "-",
            context.version_table,
            " ".join(sorted(heads)),
        )
        print("\n" + "\t".join(place))  # noqa: T201
        return []

    app = info.load_app()
    with app.app_context():
        config = app.extensions["migrate"].migrate.get_config()
        script = scripts.ScriptDirectory.from_config(config)
        with environment.EnvironmentContext(config, script, fn=look, dont_mutate=True):
            script.run_env()
    disconnect()


def ask(run: str, patience: float, flask: str, words: list[str]) -> None:
    """Have a command carried out by who stands by, and end with its status; one that did not begin is begun here."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        if begun(connection, run, patience, words):
            sys.exit(ended(connection))
    if words == PLACE or os.environ.get(STATEMENTS):
        begin_sessions()
        sys.argv = ["flask", *words]
        flask_cli = importlib.import_module("flask.cli")
        sys.exit(status_of(flask_cli.cli, script_info(flask_cli), words))
    os.execv(flask, [flask, *words])


def begun(connection: socket.socket, run: str, patience: float, words: list[str]) -> bool:
    with contextlib.suppress(OSError):
        connection.settimeout(WORD)
        connect(connection, run, patience)
        if of_run(connection, run):
            pid, _ = peer(connection)
            signal.signal(signal.SIGTERM, lambda number, _: end(pid, number))
            output = array.array("i", [1, 2])
            told = json.dumps([words, session_wanted()])
            connection.sendmsg([told.encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, output)])
            return first_word(connection) == b"begun"
    return False


def first_word(connection: socket.socket) -> bytes:
    """Wait for the other end to begin; what did not begin in time cannot any more."""
    with contextlib.suppress(socket.timeout):
        return connection.recv(LONGEST)
    # From here on nothing can be sent to us: the word is there already, or never comes.
    connection.shutdown(socket.SHUT_RD)
    return connection.recv(LONGEST)


def ended(connection: socket.socket) -> int:
    """Wait for the exit status; a process that was ended before it could tell has failed."""
    told = b""
    connection.settimeout(None)
    with contextlib.suppress(OSError):
        told = connection.recv(LONGEST)
    return told[0] if told else 1


def end(pid: int, number: int) -> None:
    """Whoever ends us means the command."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    sys.exit(128 + number)


def connect(connection: socket.socket, run: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return connection.connect(address(run))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def main(command: str, run: str, *words: str) -> None:
    if importlib.util.find_spec("dotenv") is None:
        # Flask has a tip then, which is none for production.
        os.environ["FLASK_SKIP_DOTENV"] = "1"
    if command == "serve":
        with contextlib.suppress(socket.timeout):
            serve(run)
    else:
        patience, flask, *asked = words
        ask(run, float(patience), flask, asked)


if __name__ == "__main__":
    main(*sys.argv[1:])
