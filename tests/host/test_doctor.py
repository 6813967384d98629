"""inv doctor, with real keys, a real agent, and real sshds behind what ssh_config says."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import sshd
from tests.sshd import Sshd, needs_sshd
from tests.test_events import told

pytestmark = needs_sshd
ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    sshd.new_key(folder / "good")
    sshd.new_key(folder / "locked", "-t", "ed25519", "-N", "a passphrase")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd") / "sshd", keys / "good.pub")
    yield running
    running.stop()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "mine.yaml").write_text("targets: {prod: {host: prod}}\n")
    return tmp_path


def doctor(home: Path, *words: str, **environ: str) -> Any:
    """Run the verb as people do; by each check its findings."""
    command = [sys.executable, "-m", "invoke", "-f", str(home / "mine.yaml"), "doctor", "--json", *words]
    without = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
    ended = subprocess.run(
        command, cwd=ROOT, env={**without, "HOME": str(home), **environ}, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""
    findings: dict[str, list[tuple[str, str]]] = {}
    for event in told(ended.stdout):
        if event["event"] == "finding":
            findings.setdefault(event["check"], []).append((event["level"], event["message"]["text"]))
    return SimpleNamespace(code=ended.returncode, printed=ended.stdout, **findings)


def test_aliases_gateways_and_hashed_names_are_found_as_ssh_finds_them(home: Path, server: Sshd, keys: Path) -> None:
    user = f"  User {sshd.USER}\n  IdentityFile {keys}/good\n"
    (home / ".ssh/config").write_text(
        f"Host gate\n  HostName 127.0.0.1\n  Port {server.port}\n{user}"
        f"Host prod\n  HostName far.invalid\n  Port 2222\n  ProxyJump gate\n{user}"
    )
    known = home / ".ssh/known_hosts"
    known.write_text(f"{server.known_hosts_line}[far.invalid]:2222 {server.host_key}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known)], check=True, capture_output=True)
    assert "far" not in known.read_text()
    found = doctor(home, "--target", "prod")
    gate, prod = f"{sshd.USER}@127.0.0.1:{server.port}", f"{sshd.USER}@far.invalid:2222"
    assert found.keys == [("ok", f"{gate}: {keys}/good"), ("ok", f"{prod}: {keys}/good")]
    assert [(level, text.partition(": ")[0]) for level, text in found.known_hosts] == [("ok", gate), ("ok", prod)]
    (at_gate, behind) = found.reach
    assert at_gate[0] == "ok"
    assert "SSH-2.0-" in at_gate[1]
    assert behind == ("ok", f"{prod}: is reached through {gate}, and was not asked")
    assert found.agent == [("ok", "there is none (SSH_AUTH_SOCK is not set)")]
    assert found.code == 0


def test_what_is_wrong_is_named_and_the_exit_code_says_so(home: Path, keys: Path) -> None:
    with socket.socket() as listener:
        # Nobody listens, so that it refuses.
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        (home / "mine.yaml").write_text(f"targets: {{prod: {{host: 'me@127.0.0.1:{port}'}}}}\n")
        shutil.copy(keys / "locked", home / ".ssh/id_ed25519")
        (home / ".ssh/id_ed25519").chmod(0o644)
        found = doctor(home, "--target", "prod")
    label, key = f"me@127.0.0.1:{port}", f"{home}/.ssh/id_ed25519"
    assert found.keys == [
        ("warning", f"{label}: others can read {key}, so that ssh refuses it"),
        ("refusal", f"{label}: {key} needs its passphrase, and the agent does not have it"),
    ]
    assert found.known_hosts[0][0] == "refusal"
    assert found.known_hosts[0][1].startswith(f"{label}: [127.0.0.1]:{port} is not in {home}/.ssh/known_hosts")
    assert found.reach == [("refusal", f"{label}: refused the connection")]
    last = json.loads(found.printed.splitlines()[-1])
    assert (found.code, last["code"]) == (3, 3)
    assert last["message"]["text"] == "wrong on this machine: keys, known_hosts, reach"


def test_a_key_that_the_agent_holds_needs_no_passphrase(home: Path, server: Sshd, keys: Path) -> None:
    place = home / "agent"
    agent = sshd.start_agent(place)
    try:
        ask = home / "ask"
        ask.write_text("#!/bin/sh\necho a passphrase\n")
        ask.chmod(0o700)
        environ = {"SSH_AUTH_SOCK": str(place), "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        subprocess.run(["ssh-add", "-q", str(keys / "locked")], env={**os.environ, **environ}, check=True)
        (home / ".ssh/known_hosts").write_text(server.known_hosts_line)
        (home / "mine.yaml").write_text(
            f"targets: {{prod: {{host: '{server.address}'}}}}\nssh: {{identity: {keys}/locked}}\n"
        )
        found = doctor(home, "--target", "prod", "--offline", SSH_AUTH_SOCK=str(place))
    finally:
        agent.terminate()
        agent.wait()
    assert found.agent == [("ok", f"{place}: 1 key")]
    ((level, text),) = found.keys
    assert level == "ok"
    assert text.endswith(" of the agent")
    assert not hasattr(found, "reach")
    assert found.code == 0
    assert "a passphrase" not in found.printed


def test_settings_and_ssh_config_that_are_wrong_are_findings(home: Path) -> None:
    (home / ".ssh/config").write_text("Host prod\n  Prot 22\n")
    found = doctor(home)
    assert found.ssh_config[0][0] == "refusal"
    assert "Bad configuration option: prot" in found.ssh_config[0][1]
    (home / "mine.yaml").write_text("git: {brnch: x}\nlang: fr\n")
    wrong = doctor(home)
    assert sorted(text.partition(": ")[2] for _, text in wrong.settings) == [
        "git.brnch: unknown key · did you mean branch?",
        "lang: must be one of auto, zh, en",
    ]
    assert wrong.code == 3
