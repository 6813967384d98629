"""How often the laptop waits for an answer from the host: at a distance, that is what an update's time is made of."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.host import Host, connect
from deploy.settings import Ssh, Target
from tests import sshd
from tests.sshd import Sshd, needs_sshd
from tests.turns import Turns, counted
from tests.web import Page, serve

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sshd.new_key(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd") / "sshd", key.with_suffix(".pub"))
    yield running
    running.stop()


@pytest.fixture
def turns(server: Sshd) -> Iterator[Turns]:
    with counted(server.port) as turns:
        yield turns


@pytest.fixture
def host(turns: Turns, server: Sshd, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A connection, with nobody's keys and agent; what it took to open it does not count."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{turns.port} {server.host_key}\n")
    target = Target(name="t", host=f"{sshd.USER}@127.0.0.1:{turns.port}")
    host = connect(target, Ssh(identity=str(key), known_hosts=str(known_hosts)), ask=None)
    yield host
    host.close()


def test_the_laptop_starts_ssh_once_to_tell_what_ssh_config_says_and_nothing_else(
    server: Sshd, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    class Noted(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], *others: Any, **options: Any) -> None:
            started.append(command)
            super().__init__(command, *others, **options)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    host: Host = request.getfixturevalue("host")
    host.prepare(1)
    assert host.run("echo here").stdout == "here\n"
    assert [(Path(command[0]).name, command[1]) for command in started] == [("ssh", "-G")]


def test_a_connection_takes_banner_key_exchange_service_and_login(host: Host, turns: Turns) -> None:
    assert turns.count == 4


def test_a_script_of_any_size_takes_its_channel_its_shell_and_itself(host: Host, turns: Turns) -> None:
    before = turns.count
    assert host.run(f"#{'.' * 300_000}\ncat", stdin=b"fed").stdout == "fed"
    assert turns.count - before == 3


def test_a_script_that_was_prepared_for_takes_only_itself(host: Host, turns: Turns) -> None:
    host.prepare(1)
    assert host.run("echo first").stdout == "first\n"
    before = turns.count
    assert host.run("echo second").stdout == "second\n"
    assert turns.count - before <= 1


def test_a_request_takes_its_channel_and_itself(host: Host, turns: Turns) -> None:
    with serve({"/": Page(body=b"here")}) as web:
        before = turns.count
        assert host.http().get(web.url, timeout=20).content == b"here"
        assert turns.count - before == 2
