"""Read known_hosts files as OpenSSH does: hashed names, patterns, ports, @revoked and @cert-authority lines.

Paramiko's own reader stops at a marked line, knows no patterns and compares one kind of key only.
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from deploy.errors import Exit, Failure
from deploy.message import Message, Told


class Verdict(Enum):
    """What the known_hosts files say about a key that a host showed."""

    KNOWN = auto()
    UNKNOWN = auto()
    CHANGED = auto()
    REVOKED = auto()


class Key(NamedTuple):
    """A public host key: its kind, such as ssh-ed25519, and its bytes."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """Name the key as ssh-keygen -l does."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"{self.kind} SHA256:{digest.rstrip('=')}"


@dataclass(frozen=True)
class Entry:
    """One line of a known_hosts file; place is file:line."""

    marker: str
    names: tuple[str, ...]
    key: Key
    place: str

    def names_host(self, name: str) -> bool:
        """Tell whether the line is about this host: `host`, or `[host]:port` when the port is not 22."""
        if any(pattern.startswith("!") and _matches(pattern[1:], name) for pattern in self.names):
            return False
        return any(_matches(pattern, name) for pattern in self.names)


class UnknownKey(Failure):
    """A host showed a key that no file knows; once somebody has agreed to it, `learn` adds it to `file`."""

    def __init__(
        self, name: str, key: Key, file: Path, fact: Message, *, evidence: tuple[Told, ...], remedy: Told
    ) -> None:
        super().__init__(fact, evidence=evidence, remedy=remedy, code=Exit.REFUSED)
        self.key, self.file = key, file
        self._line = f"{name} {key.kind} {base64.b64encode(key.blob).decode()}\n"

    def learn(self) -> None:
        """Add the key as ssh does."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        said = self.file.read_text(encoding="utf-8", errors="replace") if self.file.exists() else ""
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(self._line if said.endswith("\n") or not said else f"\n{self._line}")
        if not said:
            self.file.chmod(0o600)


def parse(text: str, file: str) -> tuple[Entry, ...]:
    """Read the text of a known_hosts file; what is no entry is passed over, as OpenSSH does."""
    lines = (_entry(line.split(), f"{file}:{number}") for number, line in enumerate(text.splitlines(), start=1))
    return tuple(entry for entry in lines if entry)


def about(entries: Iterable[Entry], name: str) -> tuple[Entry, ...]:
    """Keep the lines about a host. Host names know no case."""
    return tuple(entry for entry in entries if entry.names_host(name.lower()))


def judge(entries: Iterable[Entry], key: Key) -> Verdict:
    """Judge a key by the lines about its host. A certificate authority vouches for certificates only, not for keys."""
    entries = tuple(entries)
    if any(entry.marker == "@revoked" and entry.key.blob == key.blob for entry in entries):
        return Verdict.REVOKED
    known = [entry.key.blob for entry in entries if not entry.marker]
    if not known:
        return Verdict.UNKNOWN
    return Verdict.KNOWN if key.blob in known else Verdict.CHANGED


def _entry(fields: list[str], place: str) -> Entry | None:
    if not fields or fields[0].startswith("#"):
        return None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3:
        return None
    names, kind, encoded = fields[:3]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        return None
    return Entry(marker, tuple(names.split(",")), Key(kind, blob), place)


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return _matches_hash(pattern, name)
    # Only * and ? are special in known_hosts; fnmatch would take the brackets of [host]:port for a set.
    return fnmatchcase(name, pattern.lower().replace("[", "[[]"))


def _matches_hash(hashed: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in hashed.split("|")[2:])
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)
