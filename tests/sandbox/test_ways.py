"""Every way to a host, locally and over SSH, as whom and with which keys; and settings that lead nowhere."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import execute
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import ROOT, Ended, run_inv
from tests.sandbox.facts import facts
from tests.sshd import Sshd, new_key, start

pytestmark = pytest.mark.stack

NOBODY = "nobody"
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root: it changes owners or adds a user")


def target_of(sandbox: Sandbox) -> dict[str, Any]:
    """Return the sandbox's target as it is registered."""
    registered = yaml.safe_load((sandbox.root / "target.yaml").read_text(encoding="utf-8"))
    target: dict[str, Any] = registered["targets"][sandbox.name]
    return target


def written(folder: Path, name: str, target: dict[str, Any]) -> str:
    """Write a settings file with one target; return its path."""
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({"targets": {name: target}}), encoding="utf-8")
    return str(file)


def inv(target: str, *words: str, **environment: str) -> Ended:
    ended = run_inv(target, *words, environment=environment)
    assert "Traceback" not in ended.text
    return ended


def test_the_verbs_work_on_the_production_host_itself(sandbox: Sandbox, tmp_path: Path) -> None:
    commit = stack.release(sandbox.name, "code")
    target = {key: value for key, value in target_of(sandbox).items() if key not in ("host", "ssh")}
    here = ("-f", written(tmp_path, "on-the-spot", target | {"local": True}))
    preflight = inv("on-the-spot", *here, "preflight")
    assert preflight.code == 0, preflight.text
    updated = inv("on-the-spot", *here, "hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert f"on-the-spot runs {commit[:7]} and is healthy" in updated.out
    # Nothing may ask a proxy for the host's own services, here least of all.
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    health = inv("on-the-spot", *here, "health", **proxies)
    assert health.code == 0, health.text
    assert inv("on-the-spot", *here, "attach").code == 0
    assert inv(sandbox.name, "health").code == 0


def test_health_never_goes_through_a_proxy(sandbox: Sandbox) -> None:
    proxies = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy")
    health = inv(sandbox.name, "health", **dict.fromkeys(proxies, "http://127.0.0.1:9"))
    assert health.code == 0, health.text


@needs_root
def test_a_user_who_may_do_nothing_updates_through_sudo(sandbox: Sandbox, tmp_path: Path, sudoer: str) -> None:
    stack.release(sandbox.name, "code")
    target = target_of(sandbox) | {"host": f"{sudoer}@127.0.0.1:{sandbox.ssh_port}"}
    without = inv(sandbox.name, "-f", written(tmp_path, sandbox.name, target), "preflight")
    assert without.code == 3, without.text
    assert f"cannot read {sandbox.path}/.env" in without.out
    assert "→ set sudo: true under the target" in without.out

    settings = ("-f", written(tmp_path, sandbox.name, target | {"sudo": True}))
    updated = inv(sandbox.name, *settings, "hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert owners(sandbox.path) == {"root"}
    assert inv(sandbox.name, *settings, "health").code == 0


@needs_root
def test_sudo_that_wants_a_password_is_refused_where_nobody_can_be_asked(
    sandbox: Sandbox, tmp_path: Path, sudoer: str
) -> None:
    Path(f"/etc/sudoers.d/{sudoer}").write_text(f"{sudoer} ALL=(ALL) ALL\n", encoding="ascii")
    before = facts(sandbox)
    target = target_of(sandbox) | {"host": f"{sudoer}@127.0.0.1:{sandbox.ssh_port}", "sudo": True}
    ended = inv(sandbox.name, "-f", written(tmp_path, sandbox.name, target), "hot-update", "--yes")
    assert ended.code == 3, ended.text
    assert f"sudo on {sudoer}@127.0.0.1:{sandbox.ssh_port} needs a password" in ended.err
    assert "NOPASSWD" in ended.err
    assert facts(sandbox) == before


@pytest.mark.deep
def test_an_app_without_an_env_file_is_updated_as_others_are(sandbox: Sandbox, tmp_path: Path) -> None:
    commit = stack.release(sandbox.name, "code")
    settings = ("-f", written(tmp_path, sandbox.name, target_of(sandbox) | {"env": "none"}))
    updated = inv(sandbox.name, *settings, "hot-update", "--yes")
    assert (updated.code, f"runs {commit[:7]} and is healthy" in updated.out) == (0, True), updated.text


@needs_root
def test_the_password_for_sudo_is_asked_once_for_all_hosts_of_a_group(
    sandbox: Sandbox, tmp_path: Path, sudoer: str
) -> None:
    Path(f"/etc/sudoers.d/{sudoer}").write_text(f"{sudoer} ALL=(ALL) ALL\n", encoding="ascii")
    subprocess.run(["chpasswd"], input=f"{sudoer}:pass word\n", text=True, check=True)
    target = target_of(sandbox) | {"host": f"{sudoer}@127.0.0.1:{sandbox.ssh_port}", "sudo": True}
    settings = {"targets": {"one": target, "other": target}, "groups": {"both": {"targets": ["one", "other"]}}}
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    words = [sys.executable, "-m", "invoke", "-f", str(file), "health", "--target", "both"]
    # It gives the verb a terminal.
    words = ["script", "--quiet", "--return", "--command", shlex.join(words), "/dev/null"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as typing:
        assert typing.stdin
        assert typing.stdout
        told = b""
        while not told.endswith(b"sudo password for the hosts of both: "):
            told += typing.stdout.read(1) or pytest.fail(told.decode())
        typing.stdin.write(b"pass word\n")
        typing.stdin.flush()
        told += typing.stdout.read()
    assert typing.returncode == 0, told.decode()
    assert (told.count(b"sudo password"), told.count(b"healthy"), b"pass word" in told) == (1, 2, False)


@needs_root
def test_in_a_clone_of_somebody_else_git_runs_as_its_owner(sandbox: Sandbox) -> None:
    commit = stack.release(sandbox.name, "code")
    # What the copy saves from the container must belong to the clone's owner as well.
    execute(sandbox.app, "sh", "-c", "echo by hand >/app/app/features/news.py")
    with owned_by(NOBODY, sandbox):
        updated = inv(sandbox.name, "hot-update", "--yes")
        assert updated.code == 0, updated.text
        assert "saved on the host" in updated.out
        assert owners(sandbox.path) == {NOBODY}
        again = inv(sandbox.name, "hot-update", "--yes")
        assert (again.code, "nothing to do" in again.out) == (0, True), again.text
        assert inv(sandbox.name, "attach").code == 0
    assert git(sandbox.path, "rev-parse", "HEAD") == commit


@pytest.mark.does("VERIFY_KEY", "learn_key")
def test_an_unknown_host_key_is_refused_with_the_way_to_add_it(sandbox: Sandbox, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    target = target_of(sandbox)
    target["ssh"] |= {"known_hosts": str(known_hosts)}
    settings = ("-f", written(tmp_path, sandbox.name, target))
    before, log = facts(sandbox), sshd_log(sandbox)
    for verb in (("preflight",), ("hot-update", "--yes"), ("health",)):
        ended = inv(sandbox.name, *settings, *verb)
        assert ended.code == 3, ended.text
        assert f"✗ the host key of [127.0.0.1]:{sandbox.ssh_port} is not known" in ended.err
        assert fingerprint(sandbox.ssh / "host_key.pub") in ended.err
    assert_nobody_logged_in(sandbox, log)
    assert facts(sandbox) == before
    assert not known_hosts.exists()

    say_yes(re.findall(r"run once and say yes: ssh (.+)", ended.err))
    assert inv(sandbox.name, *settings, "health").code == 0


def say_yes(commands: list[str]) -> None:
    """Run the one command that was named, with the answer given beforehand."""
    (command,) = commands
    run("bash", "-c", f"ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=accept-new {command}")


@pytest.mark.does("replace_key")
def test_a_changed_host_key_is_refused_and_both_keys_are_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    other = tmp_path / "other"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other)
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{sandbox.ssh_port} {other.with_suffix('.pub').read_text(encoding='ascii')}")
    target = target_of(sandbox)
    target["ssh"] |= {"known_hosts": str(known_hosts)}
    before, log = facts(sandbox), sshd_log(sandbox)
    settings = ("-f", written(tmp_path, sandbox.name, target))
    ended = inv(sandbox.name, *settings, "hot-update", "--yes")
    assert ended.code == 3, ended.text
    assert f"✗ the host key of [127.0.0.1]:{sandbox.ssh_port} has changed" in ended.err
    assert f"shown: ssh-ed25519 {fingerprint(sandbox.ssh / 'host_key.pub')}" in ended.err
    assert f"known: ssh-ed25519 {fingerprint(other.with_suffix('.pub'))}" in ended.err
    assert f"{known_hosts}:1" in ended.err
    assert_nobody_logged_in(sandbox, log)
    assert facts(sandbox) == before

    known_hosts.write_text("", encoding="ascii")
    say_yes(re.findall(r"remove the lines named above and run once: ssh (.+)", ended.err))
    assert inv(sandbox.name, *settings, "health").code == 0


def test_behind_a_gateway_whose_key_has_changed_the_host_is_not_even_spoken_to(
    sandbox: Sandbox, tmp_path: Path, gateway: Sshd
) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text(
        f"Host gateway\n  HostName 127.0.0.1\n  Port {gateway.port}\n  IdentityFile {sandbox.identity}\n"
        f"Host prod\n  HostName 127.0.0.1\n  Port {sandbox.ssh_port}\n  ProxyJump gateway\n",
        encoding="utf-8",
    )
    known_hosts, target = tmp_path / "known_hosts", target_of(sandbox)
    target |= {"host": f"{sandbox.user}@prod", "ssh": target["ssh"] | {"known_hosts": str(known_hosts)}}
    settings = ("-f", written(tmp_path, sandbox.name, target))
    of_the_host = sandbox.known_hosts.read_text(encoding="ascii")
    known_hosts.write_text(of_the_host + gateway.known_hosts_line, encoding="ascii")
    assert inv(sandbox.name, *settings, "health", HOME=str(tmp_path)).code == 0

    other = new_key(tmp_path / "other").with_suffix(".pub").read_text(encoding="ascii")
    known_hosts.write_text(f"{of_the_host}{gateway.name} {other}", encoding="ascii")
    before, log = facts(sandbox), sshd_log(sandbox)
    for verb in (("health",), ("hot-update", "--yes")):
        ended = inv(sandbox.name, *settings, *verb, HOME=str(tmp_path))
        assert ended.code == 3, ended.text
        assert f"✗ the host key of {gateway.name} has changed" in ended.err
    assert sshd_log(sandbox) == log
    assert facts(sandbox) == before


def test_a_settings_file_that_is_not_there_is_a_usage_error(sandbox: Sandbox, tmp_path: Path) -> None:
    typo = tmp_path / "typo.yaml"
    ended = inv(sandbox.name, "-f", str(typo), "health")
    assert ended.code == 2, ended.text
    assert str(typo) in ended.err
    assert ended.out == ""


def test_everything_wrong_with_the_settings_is_told_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    before = facts(sandbox)
    file = tmp_path / "wrong.yaml"
    file.write_text(
        "git: {brunch: trunk}\n"
        "restart: {timeout: soon}\n"
        f"targets: {{{sandbox.name}: {{sudo: perhaps, helth: {{timeout: 5}}}}}}\n",
        encoding="utf-8",
    )
    ended = inv(sandbox.name, "-f", str(file), "hot-update", "--yes")
    assert ended.code == 2, ended.text
    for told in ("git.brunch", "did you mean branch?", "restart.timeout", "must be a whole number", "sudo", "helth"):
        assert told in ended.err
    assert len([line for line in ended.err.splitlines() if line.startswith("✗")]) == 1
    assert facts(sandbox) == before


def test_an_unknown_target_is_told_with_those_that_there_are(sandbox: Sandbox) -> None:
    ended = inv("produktion", "preflight")
    assert ended.code == 2, ended.text
    assert "there is no target produktion" in ended.err
    assert sandbox.name in ended.err


@pytest.fixture
def gateway(sandbox: Sandbox, tmp_path: Path) -> Iterator[Sshd]:
    """A host on the way to the sandbox's, which lets in whoever that one does."""
    server = start(tmp_path / "gateway", sandbox.ssh / "authorized_keys")
    yield server
    server.stop()


@pytest.fixture
def sudoer(sandbox: Sandbox) -> Iterator[str]:
    """Make a user who may log in at the sandbox and do everything there, but only through sudo."""
    missing = [tool for tool in ("useradd", "userdel", "sudo") if shutil.which(tool) is None]
    if missing or not Path("/etc/sudoers.d").is_dir():
        pytest.skip(f"not installed here: {', '.join(missing) or 'sudo'}")
    name = f"hot-{os.getpid()}"
    rule = Path(f"/etc/sudoers.d/{name}")
    # A password that nothing matches: sshd lets nobody in whose account is locked.
    run("useradd", "--create-home", "--shell", "/bin/bash", "--password", "*", name)
    rule.write_text(f"{name} ALL=(ALL) NOPASSWD: ALL\n", encoding="ascii")
    mode = sandbox.ssh.stat().st_mode & 0o777
    sandbox.ssh.chmod(0o755)
    try:
        if not can_read(name, sandbox.ssh / "authorized_keys"):
            pytest.skip("the repository lies in a folder that other users cannot enter")
        yield name
    finally:
        sandbox.ssh.chmod(mode)
        rule.unlink()
        run("userdel", "--remove", name)


@contextmanager
def owned_by(owner: str, sandbox: Sandbox) -> Iterator[None]:
    """Give the clone to somebody, and the origin too, or their git would not read it."""
    if not can_read(owner, sandbox.origin / "HEAD"):
        pytest.skip("the repository lies in a folder that other users cannot enter")
    folders = (sandbox.path, sandbox.origin)
    run("chown", "--recursive", "--no-dereference", owner, *folders)
    try:
        yield
    finally:
        run("chown", "--recursive", "--no-dereference", "root", *folders)


def can_read(user: str, path: Path) -> bool:
    return subprocess.run(["runuser", "-u", user, "--", "test", "-r", path], check=False).returncode == 0


def owners(folder: Path) -> set[str]:
    """Tell who owns what lies in a folder, the production secrets apart."""
    return set(run("find", folder, "!", "-name", ".env", "-printf", "%u\n").split())


def fingerprint(public_key: Path) -> str:
    """Return a key's fingerprint as OpenSSH shows it."""
    return run("ssh-keygen", "-l", "-f", public_key).split()[1]


def sshd_log(sandbox: Sandbox) -> str:
    return (sandbox.ssh / "sshd.log").read_text(encoding="utf-8")


def assert_nobody_logged_in(sandbox: Sandbox, before: str) -> None:
    """Nobody has even begun to authenticate since the log was this."""
    since = sshd_log(sandbox).removeprefix(before)
    assert not re.search("Accepted|Failed|authenticating", since), since
