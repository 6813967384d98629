"""How one is let in by a host: keys, from the agent and from files, then what else the host asks for."""

import base64
import binascii
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Queue
from threading import Thread

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PublicBlob, UnknownKeyType

from deploy import remedies
from deploy.errors import Exit, Failure
from deploy.message import Message, Told, say

# Seconds for an answer of the host: an agent may ask its user first, and a person looks for a code.
KEY_TIMEOUT, PERSON_TIMEOUT = 60, 300
# How many factors a host may ask for, one after the other.
_FACTORS = 4

_AGENT_ERRORS = (paramiko.SSHException, EOFError, OSError)


class Agent(AgentSSH):
    """The agent at a socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        self._close()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class KeyFile:
    """A private key file that is there, as it looks before any host is asked.

    `locked`: it needs a passphrase. `held`: the agent has its key. `exposed`: others than its owner can read it.
    """

    path: Path
    locked: bool
    held: bool
    exposed: bool
    problem: Message | None


@dataclass
class Authentication:
    """What opens one door: private key files, certificates and an agent's keys, and somebody to ask.

    With `identities_only` the agent's other keys are not tried. `tried` tells, once it failed, what was, and
    `needs_passphrase` whether a key was not, for want of one.
    """

    user: str
    label: Told
    files: tuple[Path, ...]
    certificates: tuple[Path, ...]
    agent: str
    identities_only: bool
    ask: Callable[[Told], str] | None
    tried: list[Message] = field(default_factory=list)
    needs_passphrase: bool = False

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Try every key, then give what else is asked for; Failure names the factor that is lacking."""
        wanted = self._by_key(transport)
        for _ in range(_FACTORS):
            if not wanted:
                return
            wanted = self._by_key(transport) if "publickey" in wanted else self._by_person(transport, wanted)
        raise paramiko.AuthenticationException(say("still asked for: %s", tuple(wanted)))

    def _by_key(self, transport: paramiko.Transport) -> list[str]:
        """Try keys until one is accepted; what is asked for besides."""
        for name, key in self._keys():
            try:
                return transport.auth_publickey(self.user, key)
            except paramiko.BadAuthenticationType as error:
                return list(error.allowed_types)
            except paramiko.AuthenticationException:
                self.tried.append(say("%s: not accepted", name))
        raise paramiko.AuthenticationException(say("no key was accepted"))

    def _by_person(self, transport: paramiko.Transport, wanted: list[str]) -> list[str]:
        if self.ask is None or not {"keyboard-interactive", "password"} & set(wanted):
            raise Failure(
                say("%s asks for another factor besides the key: %s", self.label, tuple(wanted)),
                remedy=remedies.GIVE_FACTOR,
                code=Exit.REFUSED,
            )
        transport.auth_timeout = PERSON_TIMEOUT
        if "keyboard-interactive" not in wanted:
            return transport.auth_password(self.user, self.ask(say("password of %s: ", self.label)))
        return self._by_questions(transport, self.ask)

    def _by_questions(self, transport: paramiko.Transport, ask: Callable[[Told], str]) -> list[str]:
        """Answer the host's questions here, in the main thread, where a Ctrl-C arrives."""
        questions: Queue[list[Message] | None] = Queue()
        answers: Queue[list[str]] = Queue()
        ended: list[list[str] | Exception] = []

        def handle(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            questions.put([_line(self.label, instructions, prompt) for prompt, _ in prompts])
            return answers.get()

        def talk() -> None:
            try:
                ended.append(transport.auth_interactive(self.user, handle))
            except (paramiko.SSHException, EOFError, OSError) as error:
                ended.append(error)
            finally:
                questions.put(None)

        Thread(target=talk, daemon=True).start()
        while (asked := questions.get()) is not None:
            answers.put([ask(question) for question in asked])
        outcome = ended[0] if ended else paramiko.SSHException(say("the host's questions were not understood"))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def agent_told(self) -> Message:
        """Tell what the agent holds."""
        try:
            with _held_by(self.agent) as held:
                return say("agent: %s keys", len(held)) if held else say("agent: none, or it has no keys")
        except _AGENT_ERRORS:
            return say("agent: does not answer")

    def key_files(self) -> tuple[KeyFile, ...]:
        """Look at the private key files that there are, without a host."""
        held = {blob for blob, _ in self.agents_keys() or ()}
        return tuple(self._looked_at(file, held) for file in self.files if file.is_file())

    def agents_keys(self) -> tuple[tuple[bytes, str], ...] | None:
        """Give the public part and the name of each key that the agent holds; None where one does not answer."""
        try:
            with _held_by(self.agent) as held:
                return tuple((key.asbytes(), f"{key.get_name()} {key.comment}".strip()) for key in held)
        except _AGENT_ERRORS:
            return None

    def _looked_at(self, file: Path, held: set[bytes]) -> KeyFile:
        trial = replace(self, tried=[], needs_passphrase=False)
        trial._load(file)
        problem = trial.tried[-1] if trial.tried else None
        exposed = bool(file.stat().st_mode & 0o077)
        return KeyFile(file, trial.needs_passphrase, _public(file) in held, exposed, problem)

    def _keys(self) -> Iterator[tuple[Message, paramiko.PKey]]:
        """Give keys: the agent's that a file names, the files' own, then the agent's others, unless forbidden."""
        with ExitStack() as stack:
            held: tuple[AgentKey, ...] = ()
            with suppress(*_AGENT_ERRORS):
                held = stack.enter_context(_held_by(self.agent))
            named = {_public(file) for file in self.files}
            ours = [key for key in held if key.asbytes() in named]
            for key in ours:
                yield from self._variants(say("key %s of the agent", key.comment), key)
            yield from self._files_keys({key.asbytes() for key in ours})
            for key in () if self.identities_only else held:
                if key not in ours:
                    yield from self._variants(say("key %s of the agent", key.comment), key)

    def _files_keys(self, known: set[bytes]) -> Iterator[tuple[Message, paramiko.PKey]]:
        for file in self.files:
            if _public(file) not in known and (key := self._load(file)):
                yield from self._variants(say("key %s", str(file)), key)

    def _variants(self, name: Message, key: paramiko.PKey) -> Iterator[tuple[Message, paramiko.PKey]]:
        """Give a key with each certificate that was made for it, then by itself."""
        if isinstance(key, AgentKey) and "-cert-" in key.name:
            key.public_blob = PublicBlob(key.name, key.blob)  # type: ignore[assignment]
            yield name, key
            return
        kind = len(key.get_name()) + 4
        for file in (*self.certificates, *(Path(f"{file}-cert.pub") for file in self.files)):
            with suppress(OSError, ValueError, binascii.Error, paramiko.SSHException):
                blob = PublicBlob.from_file(str(file))
                if key.asbytes()[kind:] in blob.key_blob:
                    key.public_blob = blob
                    yield say("%s with certificate %s", name, str(file)), key
        key.public_blob = None
        yield name, key

    def _load(self, file: Path) -> paramiko.PKey | None:
        if not file.is_file():
            return None
        try:
            return paramiko.PKey.from_path(file)
        except (TypeError, paramiko.PasswordRequiredException):
            self.tried.append(say("key %s: needs a passphrase, not tried", str(file)))
            self.needs_passphrase = True
        except (paramiko.SSHException, UnknownKeyType, OSError, ValueError) as error:
            self.tried.append(say("key %s: not readable, %s", str(file), str(error)))
        return None


@contextmanager
def _held_by(agent: str) -> Iterator[tuple[AgentKey, ...]]:
    """Give the keys of the agent at a socket, where there is one; they sign until it is left."""
    connected = Agent(agent) if agent and Path(agent).exists() else None
    try:
        yield connected.get_keys() if connected else ()
    finally:
        if connected:
            connected.close()


def _public(file: Path) -> bytes:
    """Read the public part of a key, from the file beside it where there is one; nothing when that cannot be read."""
    for candidate in (Path(f"{file}.pub"), file):
        with suppress(OSError, ValueError, IndexError):
            return base64.b64decode(candidate.read_text(encoding="ascii").split()[1], validate=True)
    with suppress(TypeError, paramiko.SSHException, UnknownKeyType, OSError, ValueError):
        return paramiko.PKey.from_path(file).asbytes()
    return b""


def _line(label: Told, instructions: str, prompt: str) -> Message:
    """Say who asks. What a host writes may hold anything."""
    said = " ".join(f"{instructions} {prompt}".split())
    return say("%s: %s ", label, "".join(letter if letter.isprintable() else "?" for letter in said))
