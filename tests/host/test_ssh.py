"""Hosts: scripts, their stdin and their output, over a real SSH connection and on this machine."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.errors import Exit, Failure
from deploy.host import Disconnected, Host, connect, dialogue
from deploy.message import Told
from deploy.settings import Ssh, Target
from tests import sshd
from tests.sshd import Sshd, needs_sshd
from tests.texts import as_text
from tests.web import Page, certificate, serve

NASTY = "".join(chr(code) for code in range(1, 128)) + "中文 ¡é\u2028"
MARK = "hot-update-script"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The key that every sshd here lets in."""
    return sshd.new_key(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without anybody's keys, agent, known_hosts and ssh_config."""
    (tmp_path / "home/.ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path / "home"


StartSshd = Callable[..., Sshd]


@pytest.fixture
def start_sshd(tmp_path: Path, key: Path) -> Iterator[StartSshd]:
    """Start sshds that end with the test."""
    running: list[Sshd] = []

    def start(*settings: str) -> Sshd:
        running.append(sshd.start(tmp_path / f"sshd{len(running)}", key.with_suffix(".pub"), *settings))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def shared_sshd(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Sshd]:
    """An sshd for the tests that leave it as it was."""
    server = sshd.start(tmp_path_factory.mktemp("shared") / "sshd", key.with_suffix(".pub"))
    yield server
    server.stop()


def log_in(server: Sshd, key: Path | str, known: str | None = None, address: str = "", **ssh: str | int) -> Host:
    """Connect to a server whose key is known unless said otherwise."""
    known_hosts = Path.home() / ".ssh/known_hosts"
    known_hosts.write_text(server.known_hosts_line if known is None else known)
    target = Target(name="t", host=address or server.address)
    return connect(target, Ssh(**{"identity": str(key), "connect_timeout": 10, **ssh}), ask=None)  # type: ignore[arg-type]


@pytest.fixture
def remote(shared_sshd: Sshd, key: Path) -> Iterator[Host]:
    host = log_in(shared_sshd, key)
    yield host
    host.close()


@pytest.fixture
def local() -> Iterator[Host]:
    host = connect(Target(name="here", local=True), Ssh(), ask=None)
    yield host
    host.close()


@pytest.fixture(params=[pytest.param("remote", marks=needs_sshd), "local"])
def host(request: pytest.FixtureRequest) -> Host:
    found: Host = request.getfixturevalue(request.param)
    return found


def eventually(condition: Callable[[], object]) -> bool:
    """Wait for what happens in another process."""
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.025)
    return False


def gone(pid: int) -> bool:
    """Tell whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def refused(action: Callable[[], object]) -> Any:
    with pytest.raises(Failure) as caught:
        action()
    return as_text(caught.value)


# Scripts


def test_run_tells_output_and_status(host: Host) -> None:
    answer = host.run("echo out; echo err >&2; exit 3")
    assert (answer.status, answer.stdout, answer.stderr) == (3, "out\n", "err\n")


def test_a_script_is_taken_literally_whatever_it_contains(host: Host) -> None:
    script = f"cat <<'END-OF-TEXT'\n{NASTY}\nEND-OF-TEXT\n"
    assert host.run(script).stdout == f"{NASTY}\n"


def test_a_script_may_be_longer_than_any_command_line(host: Host) -> None:
    script = "# 很长的注释\n" * 300_000 + "echo end"
    assert host.run(script).stdout == "end\n"


def test_errexit_works_inside_a_script(host: Host) -> None:
    answer = host.run("set -e; false; echo still here")
    assert (answer.status, answer.stdout) == (1, "")


def test_stdin_arrives_byte_for_byte(host: Host) -> None:
    payload = os.urandom(5_000_001)
    assert host.run("sha256sum", stdin=payload).stdout.split()[0] == hashlib.sha256(payload).hexdigest()


def test_without_stdin_a_script_reads_its_end_at_once(host: Host) -> None:
    assert host.run("wc -c").stdout.strip() == "0"


def test_stdin_that_the_script_does_not_read_does_no_harm(host: Host) -> None:
    assert host.run("exit 4", stdin=bytes(5_000_000)).status == 4


def test_output_comes_back_while_stdin_is_still_sent(host: Host) -> None:
    payload = os.urandom(1_000_000).hex().encode()
    assert host.run("tee /dev/stderr", stdin=payload).stdout == payload.decode()


def test_chinese_text_survives_wherever_it_is_cut(host: Host) -> None:
    pieces = r"printf '\xe4'; sleep .05; printf '\xb8\xad\xe6'; sleep .05; printf '\x96\x87\n'"
    assert host.run(pieces).stdout == "中文\n"
    with host.stream(pieces) as lines:
        assert list(lines) == ["中文"]
    assert host.run("printf x; yes 中文字 | head -n 50000").stdout == "x" + "中文字\n" * 50_000


def test_bytes_that_are_no_text_are_the_same_bytes_again_in_a_script(host: Host) -> None:
    name = host.run(r"printf 'a\xffb'").stdout
    assert name == "a\udcffb"
    assert host.run(f"printf '{name}' | od -An -tx1").stdout.split() == ["61", "ff", "62"]


def test_much_stderr_does_not_block_stdout(host: Host) -> None:
    answer = host.run("head -c 5000000 /dev/zero | tr '\\0' e >&2; head -c 5000000 /dev/zero | tr '\\0' o")
    assert (len(answer.stdout), len(answer.stderr)) == (5_000_000, 5_000_000)


def test_a_command_that_takes_too_long_is_ended_there(host: Host, tmp_path: Path) -> None:
    failure = refused(lambda: host.run(f"echo $$ > {tmp_path}/pid; sleep 60", timeout=4))
    assert failure.fact == f"a command on {as_text(host.label)} took longer than 4 s and was ended"
    assert eventually(lambda: gone(int((tmp_path / "pid").read_text())))
    assert host.run("echo fine").stdout == "fine\n"


def test_a_script_that_was_cut_off_never_runs(tmp_path: Path) -> None:
    cut = f"{MARK} mark 1000\ntouch {tmp_path}/ran\n".encode()
    assert subprocess.run(dialogue._BASH, input=cut).returncode != 0
    assert list(tmp_path.glob("ran")) == []


@needs_sshd
def test_nothing_of_a_script_shows_on_a_command_line(remote: Host) -> None:
    answer = remote.run("token=abc123xyz; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
    assert "abc123xyz" not in answer.stdout


# Streams


def test_stream_gives_lines_as_they_come(host: Host, tmp_path: Path) -> None:
    with host.stream(f"echo one; until [ -e {tmp_path}/go ]; do sleep .02; done; printf 'two\\n\\nlast'") as lines:
        assert next(lines) == "one"
        (tmp_path / "go").touch()
        assert list(lines) == ["two", "", "last"]


def test_stream_feeds_stdin(host: Host) -> None:
    with host.stream("cat", stdin="一\n二\n".encode()) as lines:
        assert list(lines) == ["一", "二"]


def test_a_stream_that_ends_badly_is_a_failure_with_the_last_of_stderr(host: Host) -> None:
    def follow() -> None:
        with host.stream("echo out; seq 20 >&2; exit 5") as lines:
            assert list(lines) == ["out"]

    failure = refused(follow)
    assert failure.fact == f"a command on {as_text(host.label)} ended with status 5"
    assert failure.evidence == tuple(str(number) for number in range(11, 21))


def test_leaving_a_stream_leaves_the_process_running(host: Host, tmp_path: Path) -> None:
    script = f"trap '' PIPE; echo started; until [ -e {tmp_path}/go ]; do sleep .02; done; touch {tmp_path}/done"
    with host.stream(script) as lines:
        assert next(lines) == "started"
    assert host.run("echo next").stdout == "next\n"
    (tmp_path / "go").touch()
    assert eventually((tmp_path / "done").exists)


def test_ctrl_c_passes_at_once_and_leaves_no_thread(host: Host, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    pid, passed = tmp_path / "pid", threading.Event()

    def interrupt() -> None:
        eventually(lambda: pid.exists() and pid.read_text())
        # One that comes just before Python begins to wait is met only when that ends, as for every program of Python.
        while not passed.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            passed.wait(5)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        host.run(f"echo $BASHPID > {pid}; exec sleep 60", stdin=bytes(5_000_000))
    passed.set()
    interrupter.join()
    assert set(threading.enumerate()) <= before
    assert not gone(int(pid.read_text()))
    os.kill(int(pid.read_text()), signal.SIGKILL)


# Lost connections


@needs_sshd
def test_a_connection_that_dies_under_a_command_is_told(start_sshd: StartSshd, key: Path, tmp_path: Path) -> None:
    server = start_sshd()
    host = log_in(server, key)
    pid = tmp_path / "pid"

    def kill_session() -> None:
        eventually(lambda: pid.exists() and pid.read_text())
        for session in server.sessions():
            os.kill(session, signal.SIGKILL)

    killer = threading.Thread(target=kill_session)
    killer.start()
    with pytest.raises(Disconnected):
        host.run(f"echo $BASHPID > {pid}; exec sleep 60")
    killer.join()
    with pytest.raises(Disconnected):
        host.run("true")
    with pytest.raises(Disconnected):
        host.http().get("http://localhost:1/", timeout=5)
    os.kill(int(pid.read_text()), signal.SIGKILL)
    host.close()


@needs_sshd
def test_a_command_that_a_signal_ended_over_ssh_has_no_status(remote: Host) -> None:
    with pytest.raises(Disconnected):
        remote.run("kill -9 $$")


def test_a_command_that_a_signal_ended_here_has_the_shells_status(local: Host) -> None:
    assert local.run("kill -9 $$").status == 128 + 9


# Host keys


def attempts(log: str) -> list[str]:
    """What sshd wrote about somebody who tried to log in."""
    return [
        line for line in log.splitlines() if "authenticating user" in line or "Accepted" in line or "Failed" in line
    ]


def fingerprint(public: Path) -> str:
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(public)], check=True, capture_output=True, text=True)
    return told.stdout.split()[1]


def closed(server: Sshd) -> bool:
    return eventually(lambda: "[preauth]" in server.log)


@needs_sshd
def test_an_unknown_host_key_is_refused_before_anything_is_sent(start_sshd: StartSshd, key: Path) -> None:
    server = start_sshd()
    failure = refused(lambda: log_in(server, key, known=""))
    assert (failure.code, failure.fact) == (Exit.REFUSED, f"the host key of {server.name} is not known")
    assert failure.evidence[0] == f"shown: ssh-ed25519 {fingerprint(server.folder / 'host_key.pub')}"
    assert f"-p {server.port} {server.address.rpartition(':')[0]} true" in failure.remedy
    assert closed(server)
    assert attempts(server.log) == []


@needs_sshd
def test_a_changed_host_key_is_refused_before_anything_is_sent(start_sshd: StartSshd, key: Path, home: Path) -> None:
    server = start_sshd()
    other = key.with_suffix(".pub").read_text()
    failure = refused(lambda: log_in(server, key, known=f"# a comment\n{server.name} {other}"))
    assert (failure.code, failure.fact) == (Exit.REFUSED, f"the host key of {server.name} has changed")
    assert failure.evidence == (
        f"shown: ssh-ed25519 {fingerprint(server.folder / 'host_key.pub')}",
        f"known: ssh-ed25519 {fingerprint(key.with_suffix('.pub'))} ({home}/.ssh/known_hosts:2)",
    )
    assert "do not just remove" in failure.remedy
    assert closed(server)
    assert attempts(server.log) == []


@needs_sshd
def test_a_revoked_host_key_is_refused(shared_sshd: Sshd, key: Path) -> None:
    known = f"@revoked * {shared_sshd.host_key}\n{shared_sshd.known_hosts_line}"
    failure = refused(lambda: log_in(shared_sshd, key, known=known))
    assert failure.code == Exit.REFUSED
    assert "revoked" in failure.fact


@needs_sshd
def test_marked_lines_do_not_hide_the_known_key(shared_sshd: Sshd, key: Path) -> None:
    other = key.with_suffix(".pub").read_text()
    known = f"@cert-authority * {other}@revoked * {other}{shared_sshd.known_hosts_line}"
    log_in(shared_sshd, key, known=known).close()


@needs_sshd
def test_a_host_that_only_an_authority_vouches_for_is_refused_and_says_why(shared_sshd: Sshd, key: Path) -> None:
    failure = refused(lambda: log_in(shared_sshd, key, known=f"@cert-authority * {shared_sshd.host_key}\n"))
    assert failure.code == Exit.REFUSED
    assert "host certificates are not supported" in failure.evidence[-1]


@needs_sshd
def test_a_host_is_known_by_the_kind_of_key_that_known_hosts_has(
    start_sshd: StartSshd, key: Path, tmp_path: Path
) -> None:
    rsa = sshd.new_key(tmp_path / "rsa", "-t", "rsa", "-b", "2048", "-N", "")
    server = start_sshd(f"HostKey {rsa}")
    log_in(server, key, known=f"{server.name} {rsa.with_suffix('.pub').read_text()}").close()


@needs_sshd
def test_a_known_hosts_file_of_the_settings_is_the_only_one(shared_sshd: Sshd, key: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.write_text(shared_sshd.known_hosts_line)
    log_in(shared_sshd, key, known="", known_hosts=str(ours)).close()
    ours.write_text("")
    failure = refused(lambda: log_in(shared_sshd, key, known_hosts=str(ours)))
    assert failure.evidence[1] == f"looked in: {ours}"
    assert f"UserKnownHostsFile={ours}" in failure.remedy


# ssh_config and gateways


def ssh_config(home: Path, text: str) -> None:
    (home / ".ssh/config").write_text(text)


def alias(name: str, server: Sshd, key: Path, *lines: str) -> str:
    settings = ("HostName 127.0.0.1", f"Port {server.port}", f"User {sshd.USER}", f"IdentityFile {key}", *lines)
    return "\n  ".join((f"Host {name}", *settings)) + "\n"


@needs_sshd
def test_an_alias_of_ssh_config_is_enough(shared_sshd: Sshd, key: Path, home: Path, tmp_path: Path) -> None:
    known = tmp_path / "known hosts"
    known.write_text(shared_sshd.known_hosts_line)
    missing = f"IdentityFile {tmp_path}/missing"
    ssh_config(home, alias("prod", shared_sshd, key, missing, f'UserKnownHostsFile "{known}"'))
    host = log_in(shared_sshd, "", known="", address="prod")
    assert (host.label, host.run("echo in").stdout) == (shared_sshd.address, "in\n")
    host.close()


@needs_sshd
def test_gateways_are_passed_in_the_order_of_ssh_config(start_sshd: StartSshd, key: Path, home: Path) -> None:
    target = start_sshd()
    second = start_sshd(f"PermitOpen 127.0.0.1:{target.port}")
    first = start_sshd(f"PermitOpen 127.0.0.1:{second.port}")
    ssh_config(
        home,
        alias("first", first, key)
        + alias("second", second, key)
        + alias("prod", target, key, "ProxyJump first,second"),
    )
    known = first.known_hosts_line + second.known_hosts_line + target.known_hosts_line
    host = log_in(target, "", known=known, address="prod")
    assert host.run("echo in").stdout == "in\n"
    host.close()
    assert eventually(lambda: not (first.sessions() or second.sessions() or target.sessions()))


@needs_sshd
@pytest.mark.parametrize(("known", "fact"), [("", "is not known"), ("{name} {other}", "has changed")])
def test_a_gateway_that_is_not_the_known_one_is_refused(
    start_sshd: StartSshd, key: Path, home: Path, known: str, fact: str
) -> None:
    target, gateway = start_sshd(), start_sshd()
    ssh_config(home, alias("gateway", gateway, key) + alias("prod", target, key, "ProxyJump gateway"))
    known = known.format(name=gateway.name, other=key.with_suffix(".pub").read_text()) + target.known_hosts_line
    failure = refused(lambda: log_in(target, "", known=known, address="prod"))
    assert (failure.code, failure.fact) == (Exit.REFUSED, f"the host key of {gateway.name} {fact}")
    assert closed(gateway)
    assert attempts(gateway.log + target.log) == []


@needs_sshd
def test_a_target_behind_a_gateway_is_checked_too(start_sshd: StartSshd, key: Path, home: Path) -> None:
    target, gateway = start_sshd(), start_sshd()
    ssh_config(home, alias("gateway", gateway, key) + alias("prod", target, key, "ProxyJump gateway"))
    failure = refused(lambda: log_in(target, "", known=gateway.known_hosts_line, address="prod"))
    assert (failure.code, failure.fact) == (Exit.REFUSED, f"the host key of {target.name} is not known")
    assert closed(target)
    assert attempts(target.log) == []
    assert eventually(lambda: not gateway.sessions())


@needs_sshd
def test_a_gateway_that_does_not_reach_the_target_is_named(start_sshd: StartSshd, key: Path, home: Path) -> None:
    gateway = start_sshd()
    address = f"{sshd.USER}@prod:{sshd.free_port()}"
    ssh_config(home, alias("gateway", gateway, key) + "Host prod\n  HostName 127.0.0.1\n  ProxyJump gateway\n")
    failure = refused(lambda: log_in(gateway, "", address=address))
    assert failure.fact.startswith(f"the gateway {gateway.address} does not reach {sshd.USER}@127.0.0.1:")


@needs_sshd
def test_a_proxy_command_is_the_users_own(shared_sshd: Sshd, key: Path, home: Path, tmp_path: Path) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import os, socket, sys, threading\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while block := os.read(0, 65536): s.sendall(block)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while block := s.recv(65536): os.write(1, block)\n"
    )
    ssh_config(home, alias("prod", shared_sshd, key, f"ProxyCommand {sys.executable} {relay} %h %p"))
    host = log_in(shared_sshd, "", address="prod")
    assert host.run("echo in").stdout == "in\n"
    host.close()


# What keeps one out


@needs_sshd
def test_a_user_who_is_not_let_in_hears_which_keys_were_tried(shared_sshd: Sshd, tmp_path: Path) -> None:
    stranger = sshd.new_key(tmp_path / "stranger")
    failure = refused(lambda: log_in(shared_sshd, stranger))
    assert (failure.code, failure.fact) == (Exit.FAILED, f"{shared_sshd.address} did not let {sshd.USER} in")
    assert failure.evidence[:2] == (f"key {stranger}: not accepted", "agent: none, or it has no keys")


@needs_sshd
def test_a_key_with_a_passphrase_points_at_the_agent(shared_sshd: Sshd, tmp_path: Path) -> None:
    locked = sshd.new_key(tmp_path / "locked", "-t", "ed25519", "-N", "a passphrase")
    failure = refused(lambda: log_in(shared_sshd, locked))
    assert failure.evidence[0] == f"key {locked}: needs a passphrase, not tried"
    assert "ssh-add" in failure.remedy


@needs_sshd
def test_a_key_in_the_agent_opens_the_door(
    shared_sshd: Sshd, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        assert eventually(socket.exists)
        subprocess.run(["ssh-add", "-q", str(key)], check=True)
        log_in(shared_sshd, "").close()
    finally:
        agent.terminate()
        agent.wait()


@needs_sshd
def test_an_identity_that_is_no_key_is_told(shared_sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "garbage").write_text("garbage")
    failure = refused(lambda: log_in(shared_sshd, tmp_path / "garbage"))
    assert failure.evidence[0].startswith(f"key {tmp_path}/garbage: not readable")
    assert refused(lambda: log_in(shared_sshd, tmp_path / "missing")).code == Exit.USAGE


def refusal_of(address: str, timeout: int = 10) -> Any:
    return refused(lambda: connect(Target(name="t", host=address), Ssh(connect_timeout=timeout), ask=None))


def test_a_closed_port_is_told() -> None:
    port = sshd.free_port()
    assert refusal_of(f"me@127.0.0.1:{port}").fact == f"me@127.0.0.1:{port} refused the connection"


def test_a_name_that_nobody_can_resolve_is_told() -> None:
    assert refusal_of("me@no..such..name").fact == "the name no..such..name is not resolved"


def test_a_port_where_nobody_speaks_ssh_is_told() -> None:
    with serve() as web:
        fact = refusal_of(f"me@127.0.0.1:{web.port}", timeout=1).fact
        assert fact.startswith(f"no SSH connection to me@127.0.0.1:{web.port} came about")


@pytest.mark.parametrize("address", ["me@", "me@host:port", "me@host:70000", "[::1", "me@host:22:"])
def test_what_is_no_address_is_bad_usage(address: str) -> None:
    assert refusal_of(address).code == Exit.USAGE


@pytest.mark.parametrize(("host", "label"), [("me@[::1]:9", "me@[::1]:9"), ("me@127.0.0.1:9", "me@127.0.0.1:9")])
def test_an_address_keeps_its_form(host: str, label: str) -> None:
    assert label in refusal_of(host, timeout=1).fact


# Requests


def test_requests_reach_the_hosts_own_services(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    body = os.urandom(3_000_000)
    with serve({"/": Page(body=body)}) as web, host.http() as session:
        for _ in range(2):
            assert session.get(f"http://localhost:{web.port}/", timeout=5).content == body


def test_requests_by_tls_reach_them_too_whatever_name_the_certificate_has(host: Host, tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    with serve({"/": Page(body=body)}, certified=certificate(tmp_path)) as web, host.http() as session:
        for _ in range(2):
            assert session.get(f"https://localhost:{web.port}/", timeout=5).content == body


def test_a_slow_answer_by_tls_is_given_up(host: Host, tmp_path: Path) -> None:
    pages = {"/": Page(waits=True)}
    with serve(pages, certified=certificate(tmp_path)) as web, host.http() as session:
        given_up = pytest.raises(requests.ReadTimeout)
        with given_up:
            session.get(web.url, timeout=(5, 0.2))


def test_a_closed_port_fails_at_once(host: Host) -> None:
    with host.http() as session, pytest.raises(requests.ConnectionError):
        session.get(f"http://127.0.0.1:{sshd.free_port()}/", timeout=5)


def test_a_slow_answer_is_given_up(host: Host) -> None:
    with serve({"/": Page(waits=True)}) as web, host.http() as session, pytest.raises(requests.ReadTimeout):
        session.get(web.url, timeout=(5, 0.2))


def test_a_redirect_to_another_host_is_not_followed(host: Host) -> None:
    pages = {"/": Page(302, location="/inside"), "/inside": Page(302, location="http://elsewhere.invalid/")}
    with serve(pages) as web, host.http() as session:
        assert session.get(web.url, timeout=5).headers["location"] == "http://elsewhere.invalid/"
        assert web.asked == ["/", "/inside"]


@needs_sshd
def test_forbidden_forwarding_is_told(start_sshd: StartSshd, key: Path) -> None:
    server = start_sshd("AllowTcpForwarding no")
    host = log_in(server, key)
    failure = refused(lambda: host.http().get("http://localhost:5001/", timeout=5))
    assert failure.fact == f"sshd on {server.address} forbids connections to its localhost:5001"
    assert "AllowTcpForwarding" in failure.remedy
    host.close()


# sudo


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_needs_no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    host = connect(Target(name="here", local=True, sudo=True), Ssh(), ask=None)
    assert host.run("id -u; echo ${SUDO_USER-none}").stdout == "0\nnone\n"


@pytest.fixture
def fake_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sudo that wants the password in the file beside it, if there is one, and that notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "id").write_text("#!/bin/sh\necho 1000\n")
    (folder / "sudo").write_text(
        f"""#!/bin/bash
        echo "$*" >> {folder}/calls
        while [[ $1 == -* ]]; do
          case $1 in -n) never=1 ;; -S) stdin=1 ;; -p) shift ;; esac
          shift
        done
        if [ -e {folder}/password ]; then
          [ -z "$never" ] || exit 1
          IFS= read -r given
          [ "$given" = "$(<{folder}/password)" ] || {{ echo 'sudo: 1 incorrect password attempt' >&2; exit 1; }}
        fi
        exec env DOCKER_CONTEXT=through-sudo "$@"
        """
    )
    for program in ("id", "sudo"):
        (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def connect_with_sudo(ask: Callable[[Told], str] | None) -> Host:
    return connect(Target(name="here", local=True, sudo=True), Ssh(), ask=ask)


SHOW = 'echo "$DOCKER_CONTEXT"; cat'


def test_a_fake_sudo_without_a_password_runs_everything(fake_sudo: Path) -> None:
    host = connect_with_sudo(None)
    assert host.run(SHOW, stdin=b"payload").stdout == "through-sudo\npayload"


def test_a_fake_sudo_is_given_the_password_by_stdin_only(fake_sudo: Path) -> None:
    (fake_sudo / "password").write_text("p'a$s \\ 密码\n")
    asked: list[str] = []

    def ask(prompt: Told) -> str:
        asked.append(as_text(prompt))
        return "p'a$s \\ 密码"

    host = connect_with_sudo(ask)
    assert host.run(SHOW, stdin=b"payload").stdout == "through-sudo\npayload"
    with host.stream(SHOW, stdin=b"more") as lines:
        assert list(lines) == ["through-sudo", "more"]
    assert asked == ["sudo password for this machine: "]
    assert "密码" not in (fake_sudo / "calls").read_text()


def test_a_fake_sudo_that_wants_no_password_after_all_does_not_feed_it_to_the_script(fake_sudo: Path) -> None:
    (fake_sudo / "password").write_text("secret\n")
    host = connect_with_sudo(lambda prompt: "secret")
    (fake_sudo / "password").unlink()
    assert host.run(SHOW, stdin=b"payload").stdout == "through-sudo\npayload"


def test_a_password_that_a_fake_sudo_does_not_accept_is_a_refusal(fake_sudo: Path) -> None:
    (fake_sudo / "password").write_text("secret\n")
    failure = refused(lambda: connect_with_sudo(lambda prompt: "wrong-one"))
    assert failure.code == Exit.REFUSED
    assert failure.evidence == ("sudo: 1 incorrect password attempt",)
    assert "wrong-one" not in f"{failure.fact}{failure.evidence}{failure.remedy}"


def test_a_fake_sudo_with_a_password_and_nobody_to_ask_is_a_refusal(fake_sudo: Path) -> None:
    (fake_sudo / "password").write_text("secret\n")
    failure = refused(lambda: connect_with_sudo(None))
    assert (failure.code, failure.fact) == (Exit.REFUSED, "sudo on this machine needs a password")
    assert "NOPASSWD" in failure.remedy
