"""Replace Gunicorn's workers one by one while the others serve: a new one first (TTIN), then the oldest goes (TTOU)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import Any, NamedTuple

from deploy.inside.message import ExpectedError, counted, message, say
from deploy.inside.processes import user_of
from deploy.inside.record import boot_id, read_json, remove_json, uptime, write_json
from deploy.inside.wire import raw
from deploy.inside.workers import (
    PAUSE,
    Address,
    Master,
    ask,
    find_master,
    holders,
    listening,
    polls,
    settings_of,
    workers,
)

# Seconds within which a master heeds a signal, and a worker that has accepted a connection answers.
HEED, ANSWER = 10.0, 10.0
# Seconds between two attempts to meet a new worker, each of which costs the old ones something: the first pause, and
# the longest where it may still boot, and where it should serve already.
KNOCK, KNOCK_BOOTING, KNOCK_SERVING = 0.1, 0.2, 2.0
# How many seconds later an heir starts, so that it does not overtake who serves in between; and for how long it is held
# where its predecessor is slow to leave: a master ends whom it does not hear of, by default after half a minute.
LEAD, HOLD = 1.0, 10.0


class Server(NamedTuple):
    """A master that can be rolled, and what is told of how."""

    master: Master
    address: Address
    name: bytes
    paths: list[str]
    boot: float
    drain: float

    @property
    def workers(self) -> set[int]:
        return workers(self.master, self.name)


def roll(settings: dict[str, Any], _: BufferedReader) -> None:
    """Replace every worker, so that none is older than this moment; ExpectedError says why that cannot be carried.

    What is remembered here lets a later roll know how many workers there should be, and `fresh` that a master which is
    older than the code has young workers.
    """
    # Who is ended lets go of whom it holds.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    name = settings["server"].encode()
    master = find_master(name)
    wanted = suitable(master, name, settings)
    folder = raw(settings["record"])
    write_json(folder, b"rolling.json", {"started": master.started, "workers": wanted})
    began = uptime()
    with user_of(master.pid):
        server = Server(
            master, listening(master), name, settings["paths"], settings["boot_timeout"], settings["drain_timeout"]
        )
        replace_all(server, wanted, [os.path.join(raw(settings["app"]), raw(file)) for file in settings["exclusive"]])
    rolled = {"started": master.started, "workers": wanted, "at": began, "ended": uptime()}
    write_json(folder, b"rolled.json", rolled)
    remove_json(settings, b"rolling.json")


def suitable(master: Master, name: bytes, settings: dict[str, Any]) -> int:
    """Tell how many workers there should be, unless this master's new workers would not run the new code."""
    told = settings_of(master, name)
    if told["preload"]:
        raise ExpectedError("the app is preloaded, so new workers would run the old code")
    if told["config"] and os.path.exists(told["config"]):
        booted = time.time() - uptime()
        if os.stat(told["config"]).st_mtime > booted + master.started:
            config = os.path.basename(told["config"])
            raise ExpectedError("%s changed since %s started", config, name.decode())
    undone = read_json(settings, b"undone.json")
    if undone and undone["boot_id"] == boot_id() and undone["from"] <= master.started < undone["to"]:
        # The file that it was configured by has come back since, and that one is older than the master.
        raise ExpectedError("%s was started with the release that is undone", name.decode())
    # There may be more at the moment: an earlier roll was killed, or its last worker is not through with its requests.
    interrupted, rolled = read_json(settings, b"rolling.json"), read_json(settings, b"rolled.json")
    ended = rolled.get("ended", 0.0) if rolled else 0.0
    drained = rolled and isinstance(ended, float) and ended + settings["drain_timeout"] < uptime()
    for earlier in (interrupted, None if drained else rolled):
        if earlier and earlier["started"] == master.started:
            return int(earlier["workers"])
    # One that has just left of its own accord may not have its successor yet.
    return max(int(told["workers"]), len(workers(master, name)))


def replace_all(server: Server, wanted: int, exclusive: list[bytes]) -> None:
    old = server.workers
    held = [file for file in exclusive if holders(file) & old]
    while left := old & server.workers:
        replace_one(server, heir=len(left) == 1 and any(holders(file) & left for file in held))
    for file in held:
        if not holders(file) & server.workers:
            # The new worker found it taken, and the old one has gone only since.
            replace_one(server)
        holder = message("held by a new worker") if holders(file) & server.workers else message("no worker holds it")
        say("%s: %s", os.path.basename(file).decode("utf-8", "replace"), holder)
    spare = len(server.workers) - wanted
    if spare > 0:
        many = counted(wanted, "%s worker", "%s workers")
        say("what served in between leaves again: %s as before", many)
    for _ in range(spare):
        # It is young enough to serve for as long as it takes to leave.
        os.kill(server.master.pid, signal.SIGTTOU)


def replace_one(server: Server, *, heir: bool = False) -> None:
    """Start a worker, and have the oldest leave once it answers.

    The last old one holds what a new worker can take only when that has left: its `heir` boots meanwhile, a little
    later than the worker that serves in between, and is held until it has left.
    """
    began = time.monotonic()
    new, inheriting = start(server), set[int]()
    if heir and serve(server, new, LEAD) is None:
        inheriting = start(server)
    expect(server, new, began)
    with held(inheriting):
        retire(server)
    if inheriting:
        expect(server, inheriting, began)


def start(server: Server) -> set[int]:
    """Have the master start one worker more, and wait until it is there."""
    before = server.workers
    os.kill(server.master.pid, signal.SIGTTIN)
    deadline = time.monotonic() + HEED
    while time.monotonic() < deadline:
        if new := server.workers - before:
            return new
        time.sleep(PAUSE)
    raise ExpectedError("the master starts no further worker")


def serve(server: Server, new: set[int], patience: float) -> int | None:
    """Wait until a new worker answers: the HTTP status, whatever it is; None: not within so many seconds."""
    deadline = time.monotonic() + patience
    polled = any(polls(pid, server.address) for pid in server.workers)
    pause = KNOCK
    while time.monotonic() < deadline:
        if not new & server.workers:
            raise ExpectedError("the new worker did not boot")
        if not polled or any(polls(pid, server.address) for pid in new):
            status = ask(server.address, new, server.paths, ANSWER, crowd=polled)
            if status is not None:
                return status
            pause = min(2 * pause, KNOCK_SERVING if polled else KNOCK_BOOTING)
        time.sleep(pause)
    return None


def expect(server: Server, new: set[int], began: float) -> None:
    status = serve(server, new, server.boot)
    if status is None:
        raise ExpectedError("the new worker does not answer, %s s after its start", f"{server.boot:.0f}")
    say("worker %s answers (%s) after %s s", min(new), status, f"{time.monotonic() - began:.1f}")


@contextlib.contextmanager
def held(pids: Iterable[int]) -> Iterator[None]:
    """Have them wait where they are, but not for so long that they are taken for hung."""

    def tell_all(number: int) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    tell_all(signal.SIGSTOP)
    enough = threading.Timer(HOLD, tell_all, [signal.SIGCONT])
    enough.start()
    try:
        yield
    finally:
        enough.cancel()
        tell_all(signal.SIGCONT)


def retire(server: Server) -> None:
    """Have the oldest worker finish what it is at and leave."""
    before = server.workers
    os.kill(server.master.pid, signal.SIGTTOU)
    began = time.monotonic()
    while time.monotonic() - began < server.drain:
        # One that ends has no command line any more a moment before it closes its files.
        if (gone := before - server.workers) and not any(os.path.exists(f"/proc/{pid}") for pid in gone):
            say("worker %s left after %s s", min(gone), f"{time.monotonic() - began:.1f}")
            return
        time.sleep(PAUSE)
    drain = f"{server.drain:.0f}"
    raise ExpectedError("the old worker still has requests in flight, %s s after it was to leave", drain)
