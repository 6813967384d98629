"""A host reached by SSH, over Fabric and Paramiko."""

import logging
import re
import socket
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Protocol

import fabric  # type: ignore[import-untyped]
import paramiko

from deploy import remedies
from deploy.answers import said_by
from deploy.errors import Exit, Failure
from deploy.host import authentication, known_hosts, ssh_config
from deploy.host.authentication import Authentication
from deploy.host.dialogue import BLOCK, Deadline, Disconnected, Process, Shell
from deploy.host.known_hosts import Entry, Key, UnknownKey, Verdict
from deploy.message import Printed, Told, say
from deploy.shell import sh

if TYPE_CHECKING:
    import requests

    from deploy.host.loopback import Channel

# Without a handler Python prints Paramiko's tracebacks on stderr; what matters is raised as a Failure.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# A dead link shows within this many seconds, with and without data on the way.
_DEAD_AFTER = 25
_SOCKET_OPTIONS = (
    (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 10),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", _DEAD_AFTER * 1000),
)

_GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
_USUAL_KEYS = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")

# user@, then [IPv6], a name or a bare IPv6, then :port
_ADDRESS = re.compile(r"(?:(.+)@)?(?:\[([^\]]+)\]|([^:@\[\]]+)|((?=.*:.*:)[0-9A-Fa-f:.]+(?:%\w+)?))(?::(\d+))?")

# RFC 4254: why a channel was not opened.
_PROHIBITED, _NOBODY_LISTENS = 1, 2

_LOST = (paramiko.SSHException, EOFError, OSError)


class Ssh(Protocol):
    """How to get there, as the settings say; the timeout in seconds, files empty when left to ssh_config."""

    @property
    def connect_timeout(self) -> int: ...
    @property
    def identity(self) -> str: ...
    @property
    def known_hosts(self) -> str: ...


@dataclass(frozen=True)
class Hop:
    """A machine on the way to a host: how it is reached, who is let in, and what is known of its keys here.

    It is reached through what it is `behind`, if anything. `known` are the lines about its `name` in `files`; `ssh` is
    the command that asks for its key.
    """

    label: Printed
    host: str
    port: int
    behind: Told | None
    name: str
    files: tuple[Path, ...]
    known: tuple[Entry, ...]
    way_in: Authentication
    ssh: str


def way(host: str, ssh: Ssh) -> tuple[Hop, ...]:
    """Tell every gateway on the way to a host, then the host, as ssh_config has it; connects to none."""
    hops, last = [], _Connection(host, ssh, None, identity=ssh.identity)
    while isinstance(last, _Connection):
        hops.append(last.hop)
        last = last.gateway
    return tuple(reversed(hops))


class SshHost(Shell):
    """A host reached by SSH, over one connection."""

    def __init__(self, host: str, ssh: Ssh, ask: Callable[[Told], str] | None = None) -> None:
        self._connection = _Connection(host, ssh, ask, identity=ssh.identity)
        super().__init__(self._connection.label)
        # By its command, what was started ahead and waits for its stdin.
        self._ahead: dict[str, list[paramiko.Channel]] = defaultdict(list)
        self._connection.open()

    def http(self) -> "requests.Session":
        from deploy.host import loopback

        return loopback.through(self._open_tcp)

    def close(self) -> None:
        self._connection.close()

    def _start(self, command: tuple[str, ...], deadline: Deadline) -> Process:
        words = "exec " + sh(*command)
        channel = self._waiting(words) or self._begin(words, deadline.left())
        return _RemoteProcess(channel, self.label)

    def _start_ahead(self, command: tuple[str, ...], count: int) -> None:
        words = "exec " + sh(*command)

        def start() -> None:
            # Where it cannot be done ahead, it is done and told when it is needed.
            with suppress(Failure):
                for _ in range(count):
                    self._ahead[words].append(self._begin(words, None))

        Thread(target=start, daemon=True).start()

    def _begin(self, words: str, timeout: float | None) -> paramiko.Channel:
        """Start a command: one round trip for its channel, and one until sshd takes its stdin."""
        try:
            channel = self._transport.open_session(timeout=timeout)
        except _LOST as error:
            raise self._unopened(error) from error
        try:
            channel.exec_command(words)
        except _LOST as error:
            raise _cut_off(self.label) from error
        return channel

    def _waiting(self, words: str) -> paramiko.Channel | None:
        """Take one that was started ahead and has not ended meanwhile."""
        while self._ahead[words]:
            channel = self._ahead[words].pop()
            if not (channel.closed or channel.eof_received or channel.exit_status_ready()):
                return channel
        return None

    def _open_tcp(self, host: str, port: int, timeout: float | None) -> "Channel":
        try:
            return self._transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=timeout)
        except paramiko.ChannelException as error:
            raise self._no_tcp(error.code, f"{host}:{port}") from error
        except _LOST as error:
            if self._transport.is_active():
                raise TimeoutError(str(error)) from error
            raise self._unopened(error) from error

    def _no_tcp(self, code: int, where: str) -> Exception:
        if code == _NOBODY_LISTENS:
            return ConnectionRefusedError()
        if code != _PROHIBITED:
            return ConnectionError()
        fact = say("sshd on %s forbids connections to its %s", self.label, where)
        return Failure(fact, remedy=remedies.ALLOW_FORWARDING)

    def _unopened(self, error: Exception) -> Failure:
        if not self._transport.is_active():
            return Disconnected(say("the connection to %s was lost", self.label))
        fact = say("%s opened no further session", self.label)
        return Failure(fact, evidence=(said_by(error),), remedy=remedies.FREE_SESSIONS)

    @property
    def _transport(self) -> paramiko.Transport:
        transport: paramiko.Transport = self._connection.transport
        return transport


class _RemoteProcess:
    """A command at the other end of a channel. Its stdin and stderr have a thread each, so that neither ever blocks."""

    def __init__(self, channel: paramiko.Channel, label: Told) -> None:
        self._channel = channel
        self._label = label
        self._complaints = bytearray()
        self._heard = Condition()
        self._silent = False
        self._threads = [Thread(target=self._listen, daemon=True)]
        self._threads[0].start()

    def tell(self, line: bytes) -> None:
        with suppress(*_LOST):
            self._channel.sendall(line)

    def feed(self, stdin: bytes) -> None:
        # The last wait's would count for sending too.
        self._channel.settimeout(None)
        self._threads.append(Thread(target=self._send, args=(stdin,), daemon=True))
        self._threads[-1].start()

    def read(self, deadline: Deadline) -> bytes:
        self._channel.settimeout(deadline.left())
        try:
            return self._channel.recv(BLOCK)
        except TimeoutError:
            raise
        except _LOST as error:
            raise _cut_off(self._label) from error

    def complaints(self, mark: bytes, deadline: Deadline) -> bytes:
        with self._heard:
            while not (self._silent or (mark and mark in self._complaints)):
                self._heard.wait(deadline.left())
            return bytes(self._complaints)

    def status(self, deadline: Deadline) -> int:
        if not self._channel.status_event.wait(deadline.left()):
            raise TimeoutError
        # -1: no status came. Without an end of its output, some of that may be missing.
        if self._channel.exit_status < 0 or not self._channel.eof_received:
            raise _cut_off(self._label)
        return self._channel.exit_status

    def close(self) -> None:
        with suppress(*_LOST):
            self._channel.close()
        for thread in self._threads:
            thread.join(timeout=2)

    def _send(self, stdin: bytes) -> None:
        # A command may end without having read everything; how it ended is told by its status.
        with suppress(*_LOST):
            for start in range(0, len(stdin), BLOCK):
                self._channel.sendall(stdin[start : start + BLOCK])
            self._channel.shutdown_write()

    def _listen(self) -> None:
        try:
            with suppress(*_LOST):
                while block := self._channel.recv_stderr(BLOCK):
                    self._hear(block)
        finally:
            self._silent = True
            self._hear(b"")

    def _hear(self, block: bytes) -> None:
        with self._heard:
            self._complaints += block
            self._heard.notify_all()


def _cut_off(label: Told) -> Disconnected:
    return Disconnected(say("the connection to %s was lost, or the command there was killed", label))


class _StrictPolicy(paramiko.MissingHostKeyPolicy):
    """Let known_hosts.judge every key. Paramiko asks its policy each time, as its own list of keys stays empty."""

    def __init__(self, judge: Callable[[Key], None]) -> None:
        self._judge = judge

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        self._judge(Key(key.get_name(), key.asbytes()))


class _Connection(fabric.Connection):  # type: ignore[misc]
    """A Fabric connection that checks host keys, its gateways' too, and that says what is wrong when it fails."""

    def __init__(
        self,
        host: str,
        ssh: Ssh,
        ask: Callable[[Told], str] | None,
        *,
        identity: str = "",
        gateway: "_Connection | None" = None,
    ) -> None:
        # Fabric makes plain attributes into settings; _set is its way around that.
        self._set(_ssh=ssh, _ask=ask, _identity_file=identity, _verified=False)
        address = self.derive_shorthand(host)
        told = ssh_config.read(address["host"], address["user"], address["port"], identity)
        # Lazy: no fabric.yaml of whoever runs this.
        config = fabric.Config(lazy=True, ssh_config=told)
        timeout = ssh.connect_timeout
        super().__init__(host, config=config, gateway=gateway, connect_timeout=timeout, forward_agent=False)
        self.client.set_missing_host_key_policy(_StrictPolicy(self._judge))
        self._set(_authentication=self._way_in())
        # A dict of its own: Fabric hands one around between connections.
        self._set(
            connect_kwargs={
                "auth_strategy": self._authentication,
                "banner_timeout": ssh.connect_timeout,
                "auth_timeout": authentication.KEY_TIMEOUT,
                "channel_timeout": ssh.connect_timeout,
                "transport_factory": self._transport,
                # Scripts shrink to a third, and what TCP lets pass at first is little.
                "compress": True,
            }
        )

    @property
    def label(self) -> Printed:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return Printed(f"{self.user}@{host}:{self.port}")

    @property
    def hop(self) -> Hop:
        files = tuple(self._known_hosts_files())
        command = say("a ProxyCommand") if self.gateway else None
        return Hop(
            label=self.label,
            host=self.host,
            port=self.port,
            behind=self.gateway.label if isinstance(self.gateway, _Connection) else command,
            name=self._known_name,
            files=files,
            known=self._entries(),
            way_in=self._authentication,
            ssh=self._ssh_command(),
        )

    def derive_shorthand(self, host_string: str) -> dict[str, Any]:
        """Read user@host:port, with an IPv6 address bare or, before a port, in brackets."""
        address = host_string.removeprefix("ssh://")
        found = _ADDRESS.fullmatch(address)
        if not found or not 0 < int(found[5] or 22) < 65536:
            fact = say("%s is not user@host:port nor an alias from ssh_config", repr(host_string))
            raise Failure(fact, remedy=remedies.SET_HOST, code=Exit.USAGE)
        return {"user": found[1], "host": found[2] or found[3] or found[4], "port": int(found[5]) if found[5] else None}

    def get_gateway(self) -> "_Connection | str | None":
        """Follow ProxyJump in its order: the first host is the one that is reached from here."""
        jumps = self.ssh_config.get("proxyjump", "none")
        if jumps.lower() == "none":
            command: str = self.ssh_config.get("proxycommand") or "none"
            return None if command.lower() == "none" else command
        gateway = None
        for jump in (jump.strip() for jump in jumps.split(",")):
            # ProxyJump under "Host *" would send a gateway through itself.
            if self.derive_shorthand(jump)["host"] in (self.host, self.original_host):
                return None
            gateway = _Connection(jump, self._ssh, self._ask, gateway=gateway)
        return gateway

    def open(self) -> None:
        if self.is_connected:
            return
        try:
            super().open()
        except (*_LOST, UnicodeError) as error:
            raise self._failure(error) from error
        finally:
            if not self.is_connected:
                self.close()

    def close(self) -> None:
        """End this connection, then the gateways that it went through."""
        super().close()
        self.client.close()
        if isinstance(self.gateway, _Connection):
            self.gateway.close()

    def _way_in(self) -> Authentication:
        """Gather what may open the door: the key of the settings first, then those that ssh_config names."""
        files = [Path(file).expanduser() for file in self.ssh_config.get("identityfile", [])]
        if self._identity_file:
            identity = Path(self._identity_file).expanduser()
            if not identity.is_file():
                fact = say("ssh.identity: there is no file %s", str(identity))
                raise Failure(fact, remedy=remedies.SET_IDENTITY, code=Exit.USAGE)
            files.insert(0, identity)
        elif not files:
            files = [Path(file).expanduser() for file in _USUAL_KEYS]
        certificates = (Path(file).expanduser() for file in self.ssh_config.get("certificatefile", ()))
        return Authentication(
            user=self.user,
            label=self.label,
            files=tuple(dict.fromkeys(files)),
            certificates=tuple(certificates),
            agent=ssh_config.agent(self.ssh_config.get("identityagent")),
            identities_only=self.ssh_config.get("identitiesonly", "no").lower() == "yes",
            ask=self._ask,
        )

    def _transport(self, sock: Any, **kwargs: Any) -> paramiko.Transport:
        if isinstance(sock, socket.socket):
            for level, option, value in _SOCKET_OPTIONS:
                if hasattr(socket, option):
                    sock.setsockopt(level, getattr(socket, option), value)
        transport = paramiko.Transport(sock, **kwargs)
        # Ask for a kind of key that is known, or a host with several would show an unknown one.
        known = {entry.key.kind for entry in self._entries() if not entry.marker}
        options = transport.get_security_options()
        options.key_types = sorted(options.key_types, key=lambda kind: _kind(kind) not in known)
        return transport

    def _known_hosts_files(self) -> list[Path]:
        if self._ssh.known_hosts:
            return [Path(self._ssh.known_hosts).expanduser()]
        users = self.ssh_config.get("userknownhostsfile", ssh_config.USER_KNOWN_HOSTS)
        everybodys = self.ssh_config.get("globalknownhostsfile", _GLOBAL_KNOWN_HOSTS)
        return [*ssh_config.files(users), *ssh_config.files(everybodys)]

    def _entries(self) -> tuple[Entry, ...]:
        """Read what the known_hosts files say about this host."""
        found: list[Entry] = []
        for file in self._known_hosts_files():
            with suppress(FileNotFoundError):
                found += known_hosts.parse(file.read_text(encoding="utf-8", errors="replace"), str(file))
        return known_hosts.about(found, self._known_name)

    @property
    def _known_name(self) -> str:
        name: str = self.ssh_config.get("hostkeyalias", self.host)
        return name if self.port == 22 or "hostkeyalias" in self.ssh_config else f"[{name}]:{self.port}"

    def _judge(self, key: Key) -> None:
        """Let a known key pass, before anything is sent to the host that it did not prove to be."""
        entries = self._entries()
        match known_hosts.judge(entries, key):
            case Verdict.KNOWN:
                self._set(_verified=True)
            case Verdict.UNKNOWN:
                raise self._unknown(key, entries)
            case Verdict.CHANGED:
                raise self._changed(key, entries)
            case Verdict.REVOKED:
                fact = say(
                    "the host key of %s is revoked in known_hosts: it must not be used any more", self._known_name
                )
                shown = (say("shown: %s", key.fingerprint),)
                raise Failure(fact, evidence=shown, remedy=remedies.VERIFY_KEY, code=Exit.REFUSED)

    def _unknown(self, key: Key, entries: tuple[Entry, ...]) -> Failure:
        files = self._known_hosts_files()
        looked = tuple(map(str, files))
        evidence = [say("shown: %s", key.fingerprint), say("looked in: %s", looked)]
        if any(entry.marker == "@cert-authority" for entry in entries):
            evidence.append(
                say(
                    "a certificate authority is known for it; host certificates are not supported, the key itself "
                    "must be"
                )
            )
        remedy = remedies.learn_key(self._ssh_command())
        fact = say("the host key of %s is not known", self._known_name)
        return UnknownKey(self._known_name, key, files[0], fact, evidence=tuple(evidence), remedy=remedy)

    def _changed(self, key: Key, entries: tuple[Entry, ...]) -> Failure:
        known = [entry for entry in entries if not entry.marker]
        evidence = (
            say("shown: %s", key.fingerprint),
            *(say("known: %s (%s)", entry.key.fingerprint, entry.place) for entry in known),
        )
        remedy = remedies.replace_key(self._ssh_command())
        fact = say("the host key of %s has changed", self._known_name)
        return Failure(fact, evidence=evidence, remedy=remedy, code=Exit.REFUSED)

    def _ssh_command(self) -> str:
        files = ("-o", f"UserKnownHostsFile={self._known_hosts_files()[0]}") if self._ssh.known_hosts else ()
        key = ("-i", self._identity_file) if self._identity_file else ()
        return sh("ssh", *files, *key, "-p", str(self.port), f"{self.user}@{self.original_host}", "true")

    def _failure(self, error: Exception) -> Failure:
        if self._verified:
            return self._not_let_in(error)
        if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
            # One error for each address of the name; the first is the one that ssh would tell.
            error = next(iter(error.errors.values()))
        evidence = (said_by(error),) if str(error) else ()
        match error:
            case paramiko.ChannelException():
                return Failure(
                    say("the gateway %s does not reach %s", self.gateway.label, self.label), evidence=evidence
                )
            case socket.gaierror() | UnicodeError():
                fact = say("the name %s is not resolved", self.host)
                return Failure(fact, evidence=evidence, remedy=remedies.CHECK_NAME)
            case TimeoutError():
                fact = say("%s did not answer within %s s", self.label, self.connect_timeout)
                return Failure(fact, evidence=evidence, remedy=remedies.CHECK_NETWORK)
            case ConnectionRefusedError():
                fact = say("%s refused the connection", self.label)
                return Failure(fact, evidence=evidence, remedy=remedies.CHECK_SSHD)
            case paramiko.SSHException() | EOFError():
                fact = say("no SSH connection to %s came about within %s s", self.label, self.connect_timeout)
                return Failure(fact, evidence=evidence, remedy=remedies.CHECK_PORT)
            case _:
                return Failure(say("%s cannot be reached", self.label), evidence=evidence)

    def _not_let_in(self, error: Exception) -> Failure:
        tried = tuple(self._authentication.tried)
        locked = self._authentication.needs_passphrase
        remedy = remedies.unlock_key(self.user) if locked else remedies.authorize_key(self.user)
        evidence = (*tried, self._authentication.agent_told(), said_by(error) or Printed(type(error).__name__))
        return Failure(say("%s did not let %s in", self.label, self.user), evidence=evidence, remedy=remedy)


def _kind(algorithm: str) -> str:
    """Tell the kind of key behind a signature algorithm: RSA keys have several."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm
