"""A process that keeps the app imported: what it carries out, for whom, and what happens without it."""

import ast
import contextlib
import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import inside

FLASK = str(Path(sys.executable).with_name("flask"))
# Notes every time that it is imported, and has commands of its own called db.
APP = """
import os, socket, sys, time
from pathlib import Path
import click
from flask import Flask

def note(word):
    with open("noted", "a") as stream:
        stream.write(f"{word} {os.getpid()}\\n")

note("imported")
if os.path.exists("broken"):
    raise RuntimeError("no such module")

def create_app():
    app = Flask(__name__)
    db = app.cli.group("db")(lambda: None)

    @db.command()
    @click.option("--sql", is_flag=True)
    @click.argument("what", default="")
    def upgrade(sql, what):
        note("upgraded")
        print("as SQL" if sql else "for good")
        print("INFO", what, file=sys.stderr)
        if what == "fail":
            raise LookupError("no such table")
        if what == "connect":
            app.session = socket.create_connection(("127.0.0.1", int(Path("port").read_text())))
        if what == "session":
            import sqlalchemy
            with sqlalchemy.create_engine("sqlite://").connect() as connection:
                print(connection.exec_driver_sql("pragma query_only").scalar())
        if what == "options":
            print(os.environ.get("PGOPTIONS"))
        if what == "exit":
            sys.exit(7)
        while what == "wait":
            time.sleep(1)

    return app
"""


# Takes the name that the run's processes meet under, as often as it is told to accepts, and notes what it hears.
LISTENER = """
import socket, sys, time
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
    listener.bind("\\0hot-update " + sys.argv[1])
    listener.listen(0)
    print("listening", flush=True)
    for _ in range(int(sys.argv[2])):
        connection, _ = listener.accept()
        print("heard", connection.recv(65536), flush=True)
    time.sleep(600)
"""
# Says something to who stands by, with so many descriptors, and notes what it hears.
ASKER = """
import array, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
    connection.connect("\\0hot-update " + sys.argv[1])
    output = array.array("i", [1, 2, 1][:int(sys.argv[3])])
    try:
        connection.sendmsg([sys.argv[2].encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, output)])
        print("heard", connection.recv(65536), flush=True)
    except OSError:
        print("heard nothing", flush=True)
"""
NEW_PIDS = 0x20000000

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes in another process tree")


class Container:
    """A process tree of its own, in which the app's processes come from the first one and all others from outside."""

    def __init__(self) -> None:
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]
        self.first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert self.first.stdin is not None
        assert self.first.stdout is not None
        self.commands = self.first.stdin
        self.commands.write("echo started\n")
        assert self.first.stdout.readline() == "started\n"

    def has_started(self, *command: str, output: Path) -> None:
        """Have the first process start one of the app's."""
        self.commands.write(f"{shlex.join(command)} </dev/null >{shlex.quote(str(output))} 2>&1 &\n")

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Start processes as docker exec does: in there, by a parent outside."""
        enter(Path(f"/proc/{self.first.pid}/ns/pid_for_children"))
        try:
            yield
        finally:
            enter(Path("/proc/self/ns/pid"))


def enter(tree: Path) -> None:
    descriptor = os.open(tree, os.O_RDONLY)
    try:
        assert ctypes.CDLL(None).setns(descriptor, NEW_PIDS) == 0
    finally:
        os.close(descriptor)


class Run:
    """A folder with an app, and what is asked of it."""

    def __init__(self, place: Path, container: Container) -> None:
        self.place, self.run, self.container = place, place.name, container
        self.standing = list[subprocess.Popen[bytes]]()
        # The number that a process has in the container, and the one that it has here.
        self.numbers = dict[int, int]()
        # What libpq would open a session with.
        self.session = dict[str, str]()
        (place / "app.py").write_text(APP)

    def start(
        self, *words: str, mark: str = "", app: str = "app:create_app", **options: object
    ) -> "subprocess.Popen[bytes]":
        """Start one of the run's processes: a program for Python, and its words."""
        given = {"FLASK_APP": app, "PYTHONDONTWRITEBYTECODE": "1", "HOT_UPDATE_RUN": mark or self.run}
        command = ["unshare", "--mount-proc", sys.executable, "-c", *words]
        with self.container.entered():
            process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
                command, cwd=self.place, env={**os.environ, **given, **self.session}, **options
            )
        numbers = Path(f"/proc/{process.pid}/status").read_text().partition("NSpid:")[2].splitlines()[0].split()
        self.numbers[int(numbers[-1])] = process.pid
        return process

    def app_starts(self, program: str, *words: str) -> Path:
        """Have the app start a process that takes itself for one of the run; what it prints is in the file."""
        output = self.place / "printed"
        output.touch()
        mark = ("env", f"HOT_UPDATE_RUN={self.run}")
        self.container.has_started(*mark, sys.executable, "-c", program, self.run, *words, output=output)
        return output

    def says(self, told: object, descriptors: int = 2, mark: str = "") -> str:
        """Say something to who stands by, and return what that was answered."""
        asking = self.start(ASKER, self.run, json.dumps(told), str(descriptors), mark=mark, stdout=subprocess.PIPE)
        return asking.communicate(timeout=60)[0].decode().strip()

    def serve(self) -> "subprocess.Popen[bytes]":
        self.standing.append(self.start(inside.standby(), "serve", self.run))
        return self.standing[-1]

    def asking(self, *words: str, patience: float = 0) -> "subprocess.Popen[bytes]":
        told = (inside.standby(), "ask", self.run, str(patience), FLASK, "db", "upgrade", *words)
        return self.start(*told, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, *words: str, patience: float = 0) -> tuple[int, str, str]:
        asking = self.asking(*words, patience=patience)
        out, err = asking.communicate(timeout=60)
        return asking.returncode, out.decode(), err.decode()

    def waiting(self) -> "tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]":
        """Have a command carried out that does not end: who carries it out, and who asked."""
        standing, asking = self.serve(), self.asking("wait", patience=30)
        while ("upgraded", standing.pid) not in self.noted():
            assert asking.poll() is None
            time.sleep(0.01)
        return standing, asking

    def noted(self) -> list[tuple[str, int]]:
        lines = (self.place / "noted").read_text().splitlines() if (self.place / "noted").exists() else []
        return [(word, self.numbers[int(pid)]) for word, pid in map(str.split, lines)]


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    found = Container()
    yield found
    found.first.kill()
    found.first.communicate()


@pytest.fixture
def run(tmp_path: Path, container: Container) -> Iterator[Run]:
    found = Run(tmp_path, container)
    yield found
    for process in found.standing:
        process.kill()
        process.wait()


def test_what_the_first_command_imported_the_next_one_uses(run: Run) -> None:
    standing = run.serve()
    assert run.ask("--sql", "first", patience=30) == (0, "as SQL\n", "INFO first\n")
    assert run.ask("second") == (0, "for good\n", "INFO second\n")
    assert run.noted() == [("imported", standing.pid), ("upgraded", standing.pid), ("upgraded", standing.pid)]


def test_an_app_that_only_its_variable_names_is_found(run: Run) -> None:
    (run.place / "app.py").rename(run.place / "shop.py")
    told = inside.standby(), "ask", run.run, "0", FLASK, "where"
    asking = run.start(*told, stderr=subprocess.PIPE, app="shop:create_app")
    # It is asked for what only Flask-Migrate would have told.
    assert asking.communicate(timeout=60)[1].decode().splitlines()[-1] == "KeyError: 'migrate'"


def test_where_nobody_stands_by_it_is_the_flask_command_that_runs(run: Run) -> None:
    assert run.ask("alone") == (0, "for good\n", "INFO alone\n")
    assert [word for word, _ in run.noted()] == ["imported", "upgraded"]


def test_a_command_that_may_have_changed_something_is_the_last(run: Run) -> None:
    standing = run.serve()
    assert run.ask(patience=30)[0] == 0
    assert standing.wait(timeout=60) == 0
    assert run.ask()[0] == 0
    assert standing.pid not in (pid for _, pid in run.noted()[2:])


@pytest.mark.parametrize(
    ("what", "status", "last"), [("fail", 1, "LookupError: no such table"), ("exit", 7, "INFO exit")]
)
def test_a_command_that_fails_tells_its_error_and_status_and_is_the_last(
    run: Run, what: str, status: int, last: str
) -> None:
    standing = run.serve()
    found, _, errors = run.ask("--sql", what, patience=30)
    assert (found, errors.splitlines()[-1]) == (status, last)
    assert standing.wait(timeout=60) == 0


def test_a_command_has_the_options_of_its_own_sessions(run: Run) -> None:
    standing = run.serve()
    run.session = {"PGOPTIONS": "-c read_only"}
    assert run.ask("--sql", "options", patience=30)[1].splitlines() == ["as SQL", "-c read_only"]
    run.session = {"PGOPTIONS": "-c lock_timeout"}
    assert run.ask("options")[1].splitlines() == ["for good", "-c lock_timeout"]
    assert {pid for _, pid in run.noted()} == {standing.pid}


@pytest.mark.parametrize("served", [True, False])
def test_sessions_begin_with_the_statements_of_their_command(run: Run, served: bool) -> None:
    if served:
        run.serve()
    run.session = {"HOT_UPDATE_SESSION": "select 1\npragma query_only = on"}
    assert run.ask("--sql", "session", patience=30 * served)[1].splitlines() == ["as SQL", "1"]
    run.session = {}
    assert run.ask("session")[1].splitlines() == ["for good", "0"]


def test_a_session_that_is_open_is_not_used_by_a_command_with_other_options(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (run.place / "port").write_text(str(server.getsockname()[1]))
        standing = run.serve()
        assert run.ask("--sql", "connect", patience=30)[0] == 0
        run.session = {"PGOPTIONS": "-c lock_timeout"}
        assert run.ask("options")[1].splitlines() == ["for good", "-c lock_timeout"]
    assert standing.wait(timeout=60) == 0
    assert standing.pid not in (pid for _, pid in run.noted()[2:])


def test_an_app_that_cannot_be_imported_is_told_as_by_the_flask_command(run: Run) -> None:
    (run.place / "broken").touch()
    alone = run.ask()
    run.serve()
    told = run.ask("--sql", patience=30)
    assert told[0] == alone[0] != 0
    assert "no such module" in told[2]
    assert "no such module" in alone[2]


def test_who_is_ended_ends_the_command_and_does_not_begin_it_again(run: Run) -> None:
    standing, asking = run.waiting()
    asking.terminate()
    assert asking.wait(timeout=60) == 143
    assert standing.wait(timeout=60) == -15
    assert len(run.noted()) == 2


def test_a_command_that_is_killed_has_failed_and_does_not_begin_again(run: Run) -> None:
    standing, asking = run.waiting()
    standing.kill()
    assert asking.wait(timeout=60) == 1
    assert len(run.noted()) == 2


def test_nothing_is_carried_out_for_another_user(run: Run) -> None:
    standing = run.serve()
    assert run.ask("--sql", patience=30)[0] == 0
    words = ["/usr/bin/python3", "-c", inside.standby(), "ask", run.run, "0", "/bin/echo", "by itself"]
    with run.container.entered():
        theirs = subprocess.Popen(
            ["unshare", "--mount-proc", "--setuid", "65534", *words],
            cwd="/",
            env={**os.environ, "HOT_UPDATE_RUN": run.run},
            stdout=subprocess.PIPE,
        )
    assert theirs.communicate(timeout=60)[0] == b"by itself\n"
    assert run.ask("ours")[0] == 0
    assert run.noted()[1:] == [("upgraded", standing.pid)] * 2


@pytest.mark.parametrize("accepts", ["1", "0"], ids=["hears", "never accepts"])
def test_a_process_of_the_app_that_takes_the_name_first_is_told_nothing(run: Run, accepts: str) -> None:
    printed = run.app_starts(LISTENER, accepts)
    wait_for(printed, "listening")
    standing = run.serve()
    assert standing.wait(timeout=60) == 1
    assert run.ask("ours", patience=30) == (0, "for good\n", "INFO ours\n")
    if accepts == "1":
        assert wait_for(printed, "heard").splitlines()[1] == "heard b''"


def test_nothing_is_carried_out_for_a_process_of_the_app(run: Run) -> None:
    standing = run.serve()
    assert run.ask("--sql", patience=30)[0] == 0
    printed = run.app_starts(ASKER, json.dumps([["db", "upgrade"], ""]), "2")
    assert wait_for(printed, "heard").strip() in {"heard nothing", "heard b''"}
    assert run.ask("ours")[0] == 0
    assert run.noted()[1:] == [("upgraded", standing.pid)] * 2


def test_nothing_is_carried_out_for_who_is_of_another_run(run: Run) -> None:
    run.serve()
    assert run.ask("--sql", patience=30)[0] == 0
    assert run.says([["db", "upgrade"], ""], mark="another") in {"heard nothing", "heard b''"}
    assert len(run.noted()) == 2


def test_what_is_no_command_is_passed_over(run: Run) -> None:
    standing = run.serve()
    assert run.ask("--sql", patience=30)[0] == 0
    command = ["db", "upgrade"]
    for told, descriptors in (
        (command, 2),
        (7, 2),
        ([["db", 7], ""], 2),
        ([[], ""], 2),
        ([{"db": 1}, ""], 2),
        ([command, None], 2),
        ([["db", "up\0grade"], ""], 2),
        ([["db", "x" * 70000], ""], 2),
        ([command, ""], 1),
        ([command, ""], 3),
    ):
        assert run.says(told, descriptors) in {"heard nothing", "heard b''"}
    assert run.ask("ours")[0] == 0
    assert run.noted()[1:] == [("upgraded", standing.pid)] * 2


def test_what_does_not_begin_in_time_is_carried_out_once_by_who_asked(run: Run) -> None:
    standing = run.serve()
    assert run.ask("--sql", patience=30)[0] == 0
    standing.send_signal(signal.SIGSTOP)
    hasty = inside.standby().replace("WORD = 30.0", "WORD = 0.2")
    asking = run.start(hasty, "ask", run.run, "0", FLASK, "db", "upgrade")
    assert asking.wait(timeout=60) == 0
    standing.send_signal(signal.SIGCONT)
    assert run.ask("--sql")[0] == 0
    pids = (standing.pid, standing.pid, asking.pid, asking.pid, standing.pid)
    assert run.noted() == list(zip(("imported", "upgraded", "imported", "upgraded", "upgraded"), pids, strict=True))


def wait_for(printed: Path, word: str) -> str:
    deadline = time.monotonic() + 60
    while word not in printed.read_text():
        assert time.monotonic() < deadline, printed.read_text()
        time.sleep(0.01)
    return printed.read_text()


def test_modules_in_the_apps_folder_do_not_stand_in_for_those_of_the_language(run: Run) -> None:
    (run.place / "socket.py").write_text("raise SystemExit(99)")
    run.serve()
    assert run.ask("--sql", patience=30)[0] == 0


def test_what_stands_by_is_written_in_the_syntax_of_python_3_9() -> None:
    ast.parse(inside.standby(), feature_version=(3, 9))
