"""Replace a master's workers while they serve: new ones first (TTIN), then as many of the oldest go (TTOU)."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from deploy.inside.message import ExpectedError, counted, say
from deploy.inside.processes import Process, processor_seconds, switches, user_of
from deploy.inside.programs import Program, programs
from deploy.inside.record import read_json, remove_json, uptime, write_json
from deploy.inside.rolls import of, remember, remembered, settings_asked, settings_known
from deploy.inside.wire import raw
from deploy.inside.workers import PAUSE, Address, ask, configured, holders, listening, polls, workers

# Seconds within which a master heeds a signal, and a worker that has accepted a connection answers.
HEED, ANSWER = 10.0, 10.0
# Seconds between two attempts to meet a new worker, each of which costs the old ones something: the first pause, and
# the longest where it may still boot, and where it should serve already.
KNOCK, KNOCK_BOOTING, KNOCK_SERVING = 0.1, 0.2, 2.0
# And between two looks at one that is seen to wait for connections, which costs them nothing.
LOOK = 0.03
# How many seconds later an heir starts, so that it does not overtake who serves in between; and for how long it is held
# where its predecessor is slow to leave: a master ends whom it does not hear of, by default after half a minute.
LEAD, HOLD = 1.0, 10.0
# A boot computes that wants a processor for this part of its time; and what such boots may take of the processors: the
# rest is left to who serves.
COMPUTES, SHARE = 0.5, 0.75


class Server(NamedTuple):
    """A master whose workers can be replaced, and what is told of how; times in seconds."""

    master: Process
    name: bytes
    paths: list[str]
    boot: float
    drain: float

    @property
    def workers(self) -> set[int]:
        return workers(self.master, self.name)

    @property
    def address(self) -> Address:
        return listening(self.master, self.workers)


class Boot(NamedTuple):
    """What a worker's boot took: seconds, those that it computed, and those that it waited for a processor."""

    took: float
    computed: float
    queued: float


class Surge:
    """How many workers boot at once: `most`, or so few that who serves has a processor left.

    A boot that waits costs the others nothing and one that computes does, so it goes by the last one, or by the proof.
    Where nobody knows it the first is alone. `demand` is the part of its time that a boot wanted a processor for.
    """

    def __init__(self, most: int, *, forced: bool = True, demand: float | None = None) -> None:
        self._most, self._forced, self.demand = most, forced, demand

    @property
    def count(self) -> int:
        if self._forced or (self.demand is not None and self.demand < COMPUTES):
            return self._most
        return 1 if self.demand is None else max(1, min(self._most, math.floor(SHARE * processors())))

    def learn(self, boots: list[Boot]) -> None:
        """Of several at once only their sum tells: together they may have wanted more than there is."""
        if len(boots) == 1:
            self.demand = (boots[0].computed + boots[0].queued) / boots[0].took
        elif boots and sum(boot.computed for boot in boots) > SHARE * processors() * max(boot.took for boot in boots):
            self.demand = 1.0


def processors() -> float:
    """Tell how many processors the container may use."""
    count = float(len(os.sched_getaffinity(0)))
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max", encoding="ascii") as stream:
        quota, period = map(float, stream.read().split())
        count = min(count, quota / period)
    return count


def server_of(program: Program, settings: dict[str, Any]) -> Server:
    name, times = settings["server"].encode(), (settings["boot_timeout"], settings["drain_timeout"])
    return Server(program.process, name, settings["paths"], *times)


def roll(program: Program, wanted: dict[str, Any], settings: dict[str, Any]) -> None:
    """Replace every worker, so that none is older than this moment; ExpectedError says why that cannot be carried."""
    server, began = server_of(program, settings), uptime()
    told = settings_known(settings, server.master) or configured(server.master, server.name)
    count = wanted_workers(server, told, settings)
    surge = Surge(wanted["surge"], forced=wanted["forced"], demand=demand_of(program, settings))
    identity = {"started": program.process.started, "pid": program.process.pid}
    write_json(raw(settings["record"]), b"rolling.json", identity | {"workers": count})
    with user_of(program.process.pid):
        replace_all(server, count, surge, settings)
    found = {"workers": count, "demand": surge.demand, "asked": settings_asked(told)}
    remember(settings, program.process, programs(settings), at=began, ended=uptime(), **found)
    remove_json(settings, b"rolling.json")


def demand_of(program: Program, settings: dict[str, Any]) -> float | None:
    """For which part of its time a boot wants a processor: as the last one did, or the proof of the release."""
    known = of(remembered(settings), program.process)
    found: float | None = known.get("demand", settings.get("demand"))
    return found


def wanted_workers(server: Server, told: dict[str, Any], settings: dict[str, Any]) -> int:
    """Tell how many there should be: there are more where a roll was killed or its last worker is still to leave."""
    master, now = server.master, uptime()
    interrupted, rolled = read_json(settings, b"rolling.json"), of(remembered(settings), master)
    if interrupted and of([interrupted], master):
        return int(interrupted["workers"])
    if rolled and rolled.get("ended", 0.0) + server.drain >= now:
        return int(rolled["workers"])
    # One that has just left of its own accord may not have its successor yet.
    return max(int(told["workers"]), len(server.workers))


def replace_all(server: Server, wanted: int, surge: Surge, settings: dict[str, Any]) -> None:
    old = server.workers
    held = exclusively_held(old, settings)
    while left := old & server.workers:
        count = min(len(left), surge.count)
        last = count == len(left)
        replace_some(server, count, surge, heir=last and any(holders(file) & left for file in held))
    hand_on(server, held)
    spare = len(server.workers) - wanted
    if spare > 0:
        say("what served in between leaves again: %s as before", counted(wanted, "%s worker", "%s workers"))
    for _ in range(spare):
        # It is young enough to serve for as long as it takes to leave.
        command(server, signal.SIGTTOU)


def exclusively_held(workers: set[int], settings: dict[str, Any]) -> list[bytes]:
    """Name the files that one worker at a time holds a lock on, where one of these does."""
    files = [os.path.join(raw(settings["app"]), raw(file)) for file in settings["exclusive"]]
    return [file for file in files if holders(file) & workers]


def hand_on(server: Server, held: list[bytes]) -> None:
    """See to it that a worker holds again what an old one held, and tell."""
    for file in held:
        if not holders(file) & server.workers:
            # The new worker found it taken, and the old one has gone only since.
            replace_some(server, 1, Surge(1))
        name = os.path.basename(file).decode("utf-8", "replace")
        if holders(file) & server.workers:
            say("%s: held by a new worker", name)
        else:
            say("%s: no worker holds it", name)


def replace_some(server: Server, count: int, surge: Surge, *, heir: bool = False) -> None:
    """Start so many workers, and have as many of the oldest leave once all of them answer.

    The last old ones may hold what a new worker can take only when they have left: an `heir` boots meanwhile, a little
    later than those that serve in between, and is held until they have left.
    """
    new, inheriting = start(server, count), dict[int, float]()
    if heir and not meet(server, new, LEAD):
        inheriting = start(server, 1)
    surge.learn(expect(server, new))
    with held(inheriting):
        retire(server, count)
    expect(server, inheriting)


def start(server: Server, count: int) -> dict[int, float]:
    """Have the master start so many workers more: each with the moment that it was there."""
    new = dict[int, float]()
    for _ in range(count):
        before = server.workers
        os.kill(server.master.pid, signal.SIGTTIN)
        came = wait_for(lambda before=before: server.workers - before, HEED)
        if not came:
            raise ExpectedError("the master starts no further worker")
        new |= dict.fromkeys(came, time.monotonic())
    return new


def expect(server: Server, new: dict[int, float]) -> list[Boot]:
    """Wait until each of the new workers serves, and one of them has answered; what their boots took.

    To meet a certain one among many takes many connections, so of the others it is enough that they wait for them.
    """
    waiting, boots = dict(new), list[Boot]()
    while waiting:
        began = min(waiting.values())
        # It may have booted while others were replaced.
        patience = max(HEED, server.boot - (time.monotonic() - began))
        met = meet(server, waiting, patience, answered=bool(boots))
        if not met:
            raise ExpectedError("the new worker does not answer, %s s after its start", f"{server.boot:.0f}")
        pid, status = met
        boots.append(Boot(time.monotonic() - waiting.pop(pid), *processor_seconds(pid)))
        if status:
            say("worker %s answers (%s) after %s s", pid, status, f"{boots[-1].took:.1f}")
        else:
            say("worker %s serves after %s s", pid, f"{boots[-1].took:.1f}")
    return boots


def meet(server: Server, new: Iterable[int], patience: float, *, answered: bool = False) -> tuple[int, int] | None:
    """Wait until one of the new workers answers: which, and the HTTP status, whatever it is; None: not in that time.

    Where another has `answered`, one that is seen to wait for connections is not asked: its status is 0.
    """
    deadline, address, wanted = time.monotonic() + patience, server.address, set(new)
    polled = any(polls(pid, {address.inode}) for pid in server.workers)
    pause = KNOCK
    while time.monotonic() < deadline:
        if not wanted <= server.workers:
            raise ExpectedError("the new worker did not boot")
        ready = {pid for pid in wanted if polls(pid, {address.inode})} if polled else wanted
        if ready and polled and answered:
            return min(ready), 0
        if ready:
            met = ask(address, ready, server.paths, ANSWER, crowd=polled)
            if met is not None:
                return met
            pause = min(2 * pause, KNOCK_SERVING if polled else KNOCK_BOOTING)
        time.sleep(pause if ready else LOOK)
    return None


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


def retire(server: Server, count: int) -> None:
    """Have the oldest workers finish what they are at and leave."""
    before, began = server.workers, time.monotonic()
    for _ in range(count):
        command(server, signal.SIGTTOU)
    left = set[int]()
    while len(left) < count:
        if time.monotonic() - began > server.drain:
            raise ExpectedError(
                "the old worker still has requests in flight, %s s after it was to leave", f"{server.drain:.0f}"
            )
        # One that ends has no command line any more a moment before it closes its files.
        gone = {pid for pid in before - server.workers - left if not os.path.exists(f"/proc/{pid}")}
        for pid in sorted(gone):
            say("worker %s left after %s s", pid, f"{time.monotonic() - began:.1f}")
        left |= gone
        time.sleep(PAUSE)


def command(server: Server, number: int) -> None:
    """Signal the master and wait until it has heeded that: the same signal, sent again before, would be lost."""
    pid = server.master.pid
    seen = switches(pid)
    os.kill(pid, number)
    # It sleeps until there is something to do, and after that again.
    wait_for(lambda: switches(pid) != seen, HEED)


def wait_for(true: Any, seconds: float) -> Any:
    """Return what is true once it is; nothing where that takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(PAUSE)
    return found
