"""What ssh_config says and what opens the door: as ssh itself would, on a real sshd."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import paramiko
import pytest
from paramiko.server import InteractiveQuery

from deploy.errors import Exit, Failure
from deploy.host import Host, connect
from deploy.message import Told
from deploy.settings import Ssh, Target
from deploy.wording import text
from tests import sshd
from tests.sshd import Sshd, needs_sshd
from tests.texts import as_text

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key that is let in, one that is not, and one that an authority signs."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("good", "bad", "signed", "authority", "locked"):
        sshd.new_key(folder / name, *(("-t", "ed25519", "-N", "a passphrase") if name == "locked" else ()))
    subprocess.run(
        ["ssh-keygen", "-q", "-s", folder / "authority", "-I", "t", "-n", sshd.USER, folder / "signed.pub"], check=True
    )
    (folder / "signed-cert.pub").rename(folder / "certificate")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("sshd") / "sshd"
    running = sshd.start(folder, keys / "good.pub", f"TrustedUserCAKeys {keys}/authority.pub")
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that knows the server, without keys, agent and ssh_config."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    (tmp_path / "home/.ssh/known_hosts").write_text(server.known_hosts_line)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path / "home"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Start an agent that holds the named keys."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*held: Path) -> Path:
        place = tmp_path / f"agent{len(running)}"
        running.append(sshd.start_agent(place))
        for key in held:
            subprocess.run(["ssh-add", "-q", str(key)], env={"SSH_AUTH_SOCK": str(place)}, check=True)
        return place

    yield start
    for process in running:
        process.terminate()
        process.wait()


def log_in(home: Path, config: str, ask: Callable[[Told], str] | None = None) -> Host:
    (home / ".ssh/config").write_text(config)
    return connect(Target(name="t", host="prod"), Ssh(connect_timeout=10), ask=ask)


def is_in(home: Path, config: str) -> bool:
    host = log_in(home, config)
    answer = host.run("echo in")
    host.close()
    return answer.stdout == "in\n"


def failure_of(action: Callable[[], object]) -> Any:
    with pytest.raises(Failure) as caught:
        action()
    return as_text(caught.value)


def alias(server: Sshd, *lines: str) -> str:
    return "\n  ".join(("Host prod", "HostName 127.0.0.1", f"Port {server.port}", f"User {sshd.USER}", *lines)) + "\n"


# ssh_config


def test_what_a_file_says_that_ssh_config_includes_holds(home: Path, server: Sshd, keys: Path) -> None:
    (home / ".ssh/more").mkdir()
    (home / ".ssh/more/prod").write_text(alias(server, f"IdentityFile {keys}/good"))
    assert is_in(home, f"Include {home}/.ssh/more/*\n")


def test_what_a_match_says_holds(home: Path, server: Sshd, keys: Path) -> None:
    match = f'Match originalhost prod exec "test %n = prod"\n  IdentityFile {keys}/good\n'
    assert is_in(home, alias(server) + match)


def test_a_gateway_has_settings_of_its_own(home: Path, server: Sshd, keys: Path, tmp_path: Path) -> None:
    gateway = sshd.start(tmp_path / "gateway", keys / "bad.pub")
    with (home / ".ssh/known_hosts").open("a") as known:
        known.write(gateway.known_hosts_line)
    there = alias(gateway, f"IdentityFile {keys}/bad").replace("Host prod", "Host gate")
    (home / ".ssh/gates").write_text(there)
    try:
        here = alias(server, f"IdentityFile {keys}/good", "ProxyJump gate")
        assert is_in(home, f"Include {home}/.ssh/gates\n{here}")
    finally:
        gateway.stop()


def test_a_config_that_ssh_does_not_read_is_told_in_its_words(home: Path) -> None:
    failure = failure_of(lambda: log_in(home, "Host prod\n  Prot 22\n"))
    assert (failure.code, failure.fact) == (Exit.USAGE, "ssh_config cannot be read")
    assert any("line 2: Bad configuration option: prot" in line for line in failure.evidence)


@pytest.fixture
def no_ssh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_without_ssh_an_alias_is_enough(no_ssh: None, home: Path, server: Sshd, keys: Path) -> None:
    assert is_in(home, alias(server, f"IdentityFile {keys}/good"))


@pytest.mark.parametrize("line", ["Include {home}/.ssh/known*", "Match localnetwork 10.0.0.0/8"])
def test_without_ssh_a_directive_that_only_ssh_understands_is_named(
    no_ssh: None, home: Path, server: Sshd, line: str
) -> None:
    line = line.format(home=home)
    failure = failure_of(lambda: log_in(home, f"# ours\n{line}\n{alias(server)}"))
    assert (failure.code, failure.fact) == (Exit.USAGE, "ssh_config cannot be read")
    assert failure.evidence[0].startswith(f"{home}/.ssh/config:2: {line} is understood by OpenSSH only")


def test_without_ssh_an_include_of_nothing_does_no_harm(no_ssh: None, home: Path, server: Sshd, keys: Path) -> None:
    assert is_in(home, f"Include {home}/.ssh/none/*\n" + alias(server, f"IdentityFile {keys}/good"))


# Keys


def test_a_key_of_the_agent_that_ssh_config_names_is_used(
    home: Path, server: Sshd, keys: Path, agent: Callable[..., Path]
) -> None:
    place = agent(keys / "good")
    assert is_in(home, alias(server, f"IdentityAgent {place}"))


def test_no_agent_is_asked_where_ssh_config_says_none(
    home: Path, server: Sshd, keys: Path, agent: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent(keys / "good")))
    failure = failure_of(lambda: log_in(home, alias(server, "IdentityAgent none")))
    assert failure.evidence[0] == "agent: none, or it has no keys"


def test_with_identities_only_no_other_key_of_the_agent_is_tried(
    home: Path, server: Sshd, keys: Path, agent: Callable[..., Path]
) -> None:
    place = agent(keys / "good")
    config = alias(server, f"IdentityAgent {place}", "IdentitiesOnly yes", f"IdentityFile {keys}/bad")
    failure = failure_of(lambda: log_in(home, config))
    assert failure.evidence[:2] == (f"key {keys}/bad: not accepted", "agent: 1 keys")


def test_with_identities_only_the_agent_signs_for_a_file_that_is_locked_or_only_public(
    home: Path, server: Sshd, keys: Path, agent: Callable[..., Path]
) -> None:
    (home / ".ssh/public").write_text((keys / "good.pub").read_text())
    place = agent(keys / "bad", keys / "good")
    config = alias(server, f"IdentityAgent {place}", "IdentitiesOnly yes", f"IdentityFile {home}/.ssh/public")
    assert is_in(home, config)


def test_an_agent_that_is_gone_is_no_obstacle(home: Path, server: Sshd, keys: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(home / "gone"))
    listening.close()
    assert is_in(home, alias(server, f"IdentityAgent {home}/gone", f"IdentityFile {keys}/good"))


@pytest.fixture
def signed(home: Path, keys: Path) -> Path:
    """The key that only its certificate opens the door for."""
    for name in ("signed", "signed.pub"):
        shutil.copy(keys / name, home / ".ssh" / name)
    return home / ".ssh/signed"


def test_a_certificate_beside_its_key_opens_the_door(home: Path, server: Sshd, keys: Path, signed: Path) -> None:
    shutil.copy(keys / "certificate", f"{signed}-cert.pub")
    assert is_in(home, alias(server, f"IdentityFile {signed}"))


def test_a_certificate_that_ssh_config_names_opens_the_door(home: Path, server: Sshd, keys: Path, signed: Path) -> None:
    assert is_in(home, alias(server, f"IdentityFile {signed}", f"CertificateFile {keys}/certificate"))


def test_a_certificate_is_used_with_the_agents_key(
    home: Path, server: Sshd, keys: Path, signed: Path, agent: Callable[..., Path]
) -> None:
    place = agent(signed)
    assert is_in(home, alias(server, f"IdentityAgent {place}", f"CertificateFile {keys}/certificate"))


def test_a_certificate_in_the_agent_opens_the_door(
    home: Path, server: Sshd, keys: Path, signed: Path, agent: Callable[..., Path]
) -> None:
    shutil.copy(keys / "certificate", f"{signed}-cert.pub")
    assert is_in(home, alias(server, f"IdentityAgent {agent(signed)}", "IdentitiesOnly no"))


def test_a_key_that_is_not_let_in_is_told_with_its_certificate(home: Path, server: Sshd, keys: Path) -> None:
    failure = failure_of(lambda: log_in(home, alias(server, f"IdentityFile {keys}/bad")))
    assert failure.evidence[0] == f"key {keys}/bad: not accepted"


# A second factor


@pytest.mark.parametrize("factor", ["keyboard-interactive", "password"])
def test_a_factor_that_nobody_is_there_to_give_is_named(home: Path, keys: Path, tmp_path: Path, factor: str) -> None:
    methods = (f"AuthenticationMethods publickey,{factor}", "KbdInteractiveAuthentication yes")
    two = sshd.start(tmp_path / "two", keys / "good.pub", *methods, "PasswordAuthentication yes")
    (home / ".ssh/known_hosts").write_text(two.known_hosts_line)
    try:
        failure = failure_of(lambda: log_in(home, alias(two, f"IdentityFile {keys}/good")))
    finally:
        two.stop()
    assert failure.fact == f"{two.address} asks for another factor besides the key: {factor}"
    assert failure.code == Exit.REFUSED


class Door(paramiko.ServerInterface):
    """A host that wants a key, then answers to its questions: sshd asks only through PAM, which is the machine's."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.passed_key = False

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive" if self.passed_key else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.passed_key = True
        return paramiko.common.AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_interactive(self, username: str, submethods: str) -> InteractiveQuery:
        return InteractiveQuery("", "From your\x1b[31m phone", ("Verification code: ", False))

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        self.given += responses
        return paramiko.common.AUTH_SUCCESSFUL if responses == ["123456"] else paramiko.common.AUTH_FAILED


@pytest.fixture
def door(keys: Path, home: Path) -> Iterator[tuple[Door, str]]:
    """The door, and what ssh_config says of it."""
    door = Door()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def serve() -> None:
            client, _ = listener.accept()
            transport = paramiko.Transport(client)
            transport.add_server_key(paramiko.PKey.from_path(keys / "authority"))
            transport.start_server(server=door)
            transport.join(20)

        Thread(target=serve, daemon=True).start()
        (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{port} {(keys / 'authority.pub').read_text()}")
        yield door, f"Host prod\n  HostName 127.0.0.1\n  Port {port}\n  User me\n  IdentityFile {keys}/good\n"


def test_a_code_is_asked_for_on_a_terminal(home: Path, door: tuple[Door, str]) -> None:
    asked: list[str] = []

    def ask(prompt: Told) -> str:
        asked.append(text(prompt))
        return "123456"

    there, config = door
    host = log_in(home, config, ask)
    assert there.given == ["123456"]
    (question,) = asked
    assert question == f"{text(host.label)}: From your?[31m phone Verification code: "
    host.close()


def test_a_wrong_code_is_not_let_in(home: Path, door: tuple[Door, str]) -> None:
    there, config = door
    failure = failure_of(lambda: log_in(home, config, lambda prompt: "000000"))
    assert failure.fact.endswith("did not let me in")
    assert there.given == ["000000"]
