"""A process that keeps the app imported: what it carries out, for whom, and what happens without it."""

import ast
import os
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
        if what == "options":
            print(os.environ.get("PGOPTIONS"))
        if what == "exit":
            sys.exit(7)
        while what == "wait":
            time.sleep(1)

    return app
"""


class Run:
    """A folder with an app, and what is asked of it."""

    def __init__(self, place: Path) -> None:
        self.place, self.run = place, place.name
        self.standing = list[subprocess.Popen[bytes]]()
        # What libpq would open a session with.
        self.session = dict[str, str]()
        (place / "app.py").write_text(APP)

    def start(self, *words: str, **options: object) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "FLASK_APP": "app:create_app", "PYTHONDONTWRITEBYTECODE": "1", **self.session}
        command = [sys.executable, "-c", inside.standby(), *words]
        return subprocess.Popen(command, cwd=self.place, env=environment, **options)  # type: ignore[call-overload,no-any-return]

    def serve(self) -> "subprocess.Popen[bytes]":
        self.standing.append(self.start("serve", self.run))
        return self.standing[-1]

    def asking(self, *words: str, patience: float = 0) -> "subprocess.Popen[bytes]":
        told = ("ask", self.run, str(patience), FLASK, "db", "upgrade", *words)
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
        return [(word, int(pid)) for word, pid in map(str.split, lines)]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    found = Run(tmp_path)
    yield found
    for process in found.standing:
        process.kill()
        process.wait()


def test_what_the_first_command_imported_the_next_one_uses(run: Run) -> None:
    standing = run.serve()
    assert run.ask("--sql", "first", patience=30) == (0, "as SQL\n", "INFO first\n")
    assert run.ask("second") == (0, "for good\n", "INFO second\n")
    assert run.noted() == [("imported", standing.pid), ("upgraded", standing.pid), ("upgraded", standing.pid)]


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_nothing_is_carried_out_for_another_user(run: Run) -> None:
    standing = run.serve()
    assert run.ask("--sql", patience=30)[0] == 0
    words = ["/usr/bin/python3", "-c", inside.standby(), "ask", run.run, "0", "/bin/echo", "by itself"]
    theirs = subprocess.run(words, cwd="/", user=65534, capture_output=True, text=True, check=False, timeout=60)
    assert (theirs.returncode, theirs.stdout) == (0, "by itself\n")
    assert run.ask("ours")[0] == 0
    assert run.noted()[1:] == [("upgraded", standing.pid)] * 2


def test_modules_in_the_apps_folder_do_not_stand_in_for_those_of_the_language(run: Run) -> None:
    (run.place / "socket.py").write_text("raise SystemExit(99)")
    run.serve()
    assert run.ask("--sql", patience=30)[0] == 0


def test_what_stands_by_is_written_in_the_syntax_of_python_3_8() -> None:
    ast.parse(inside.standby(), feature_version=(3, 8))
