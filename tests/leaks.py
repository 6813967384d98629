"""Look for the sandboxes' secrets wherever somebody could read them: in command lines, printed, kept on a host."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from deploy.sandbox.home import home
from deploy.settings.model import Secrets

PAUSE_SECONDS = 0.05
# Of a command that shows a secret so many words are told.
WORDS = 6
# What verbs printed since somebody looked.
printed: list[str] = []


class Watch:
    """Watches this machine's processes, in the background, for the secrets of the sandboxes that this process made.

    A sandbox of ours has our process id at the end of its name, or before the number of a host; its secrets stay secret
    when it is gone.
    """

    def __init__(self, sandboxes: Path | None = None) -> None:
        self._sandboxes = sandboxes or home()
        self._secrets: dict[bytes, str] = {}
        self._learned: dict[Path, int] = {}
        self._searched: dict[Path, int] = {}
        self._looks: dict[int, int] = {}
        self._found: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="leaks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def found(self) -> list[str]:
        """Say, a line each, which secrets were seen where since the last time; never a secret itself."""
        assert self._thread.is_alive(), "nobody watches the processes"
        self._learn()
        while printed:
            self._search("what a verb printed", printed.pop().encode())
        for file, content in changed(self._kept(), self._searched):
            self._search(str(file.relative_to(self._sandboxes)), content)
        found = self._found.copy()
        del self._found[: len(found)]
        return list(dict.fromkeys(found))

    def _watch(self) -> None:
        while not self._over.wait(PAUSE_SECONDS):
            self._learn()
            if self._secrets:
                self._look()

    def _learn(self) -> None:
        for _, content in changed(self._ours("env"), self._learned):
            self._secrets = self._secrets | secrets_of(content.decode())

    def _look(self) -> None:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - 20 times a second
        self._looks = {pid: self._looks.get(pid, 0) + 1 for pid in pids}
        for pid, looks in self._looks.items():
            # A new process may be about to become another program; the older it is the less likely.
            if looks & (looks - 1) == 0:
                self._judge(pid)

    def _judge(self, pid: int) -> None:
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if any(secret in line for secret in self._secrets) and not of_a_service(pid):
                words = [self._shown(word) for word in line.rstrip(b"\0").split(b"\0")]
                self._search(f"the command line of {' '.join(words[:WORDS])}", line)

    def _search(self, where: str, content: bytes) -> None:
        self._found += [f"{key} is in {where}" for secret, key in self._secrets.items() if secret in content]

    def _shown(self, word: bytes) -> str:
        keys = [key for secret, key in self._secrets.items() if secret in word]
        return f"[{keys[0]}]" if keys else word.decode(errors="replace")

    def _kept(self) -> Iterator[Path]:
        yield from self._ours("host/*/.git/hot-update/**/*")
        yield from self._ours("ssh/*.log")

    def _ours(self, files: str) -> Iterator[Path]:
        for sandbox in (f"*-{os.getpid()}", f"*-{os.getpid()}-*"):
            yield from self._sandboxes.glob(f"{sandbox}/{files}")


def secrets_of(env: str) -> dict[bytes, str]:
    """Read the secrets of an env file, and their keys: of each what every quoted or encoded spelling has in common."""
    which = Secrets()
    pairs = re.findall(r"^(\w+)=(.*)$", env, re.MULTILINE)
    secret = [pair for pair in pairs if pair[0] in which.keys or any(word in pair[0] for word in which.words)]
    return {core.encode(): key for key, value in secret if len(core := _core(value)) >= which.min_length}


def _core(value: str) -> str:
    return max(re.findall(r"[A-Za-z0-9_-]+", value), key=len, default="")


def changed(files: Iterator[Path], known: dict[Path, int]) -> Iterator[tuple[Path, bytes]]:
    """Give the files that changed since they were given last, with what is in them; any may vanish meanwhile."""
    with suppress(FileNotFoundError):
        for file in files:
            with suppress(FileNotFoundError):
                at = file.stat().st_mtime_ns
                if file.is_file() and known.get(file) != at:
                    content = file.read_bytes()
                    known[file] = at
                    yield file, content


def of_a_service(pid: int) -> bool:
    """Tell whether a container's first process started this one, which docker exec then did not.

    What is over already cannot be told, and counts as no service.
    """
    with suppress(OSError):
        while pid:
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
            # Its ids from our namespace inwards.
            if re.search(r"^NSpid:.*\t\d+\t1$", status, re.MULTILINE):
                return True
            parent = re.search(r"^PPid:\t(\d+)$", status, re.MULTILINE)
            pid = int(parent[1]) if parent else 0
    return False
