"""Watch production while it is updated, and tell what its users met."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from threading import Event, Thread
from urllib.parse import urlsplit

from deploy.errors import Failure
from deploy.host import Disconnected
from deploy.settings import Check as Wanted
from deploy.settings import Settings
from deploy.state import Probed


@dataclass(frozen=True)
class Request:
    """When a request began and ended, in seconds, and whether its answer was good."""

    began: float
    ended: float
    good: bool


def summary(requests: Sequence[Request]) -> Probed:
    """Tell what requests met; a gap is between two good answers, or one and the beginning or the end of it all."""
    if not requests:
        return Probed(0, 0, 0.0, 0.0)
    good = [request.ended for request in requests if request.good]
    moments = [requests[0].began, *good, requests[-1].ended]
    return Probed(
        requests=len(requests),
        failed=len(requests) - len(good),
        longest_gap_s=round(max(later - earlier for earlier, later in pairwise(moments)), 3),
        slowest_request_s=round(max(request.ended - request.began for request in requests), 3),
    )


def total(parts: Sequence[Probed], waits: Sequence[float]) -> Probed:
    """Tell what the requests to several URLs met, and the longest of the waits for a lock."""
    return Probed(
        requests=sum(part.requests for part in parts),
        failed=sum(part.failed for part in parts),
        longest_gap_s=max(part.longest_gap_s for part in parts),
        slowest_request_s=max(part.slowest_request_s for part in parts),
        longest_lock_wait_s=max(waits, default=None),
    )


def wanted(settings: Settings) -> tuple[Wanted, ...]:
    """What is asked: probe.url, by default the first health check."""
    asked = tuple(_check(url) for url in settings.probe.url.split())
    return asked or settings.health.checks[:1]


def _check(url: str) -> Wanted:
    parts = urlsplit(url)
    path = parts._replace(scheme="", netloc="").geturl()
    return Wanted(name="probe", url=f"{parts.scheme}://{parts.netloc}", paths=(path or "/",))


class Probe:
    """Asks again and again, each URL in a thread of its own, until it is ended.

    `asks` tell whether the answer is good, by URL; `waits` gives, while it is asked, for how many seconds somebody
    waits for a lock in the database.
    """

    def __init__(
        self,
        asks: Mapping[str, Callable[[], bool]],
        per_second: int,
        waits: Callable[[], Iterable[float]] = tuple,
    ) -> None:
        self._pause = 1 / per_second
        self._requests: dict[str, list[Request]] = {url: [] for url in asks}
        self._waits: list[float] = []
        self._over = Event()
        for url, ask in asks.items():
            Thread(target=self._watch, args=(ask, self._requests[url]), daemon=True).start()
        Thread(target=self._watch_locks, args=(waits,), daemon=True).start()

    def end(self) -> Probed:
        """Ask no more, and tell what was met. A request that has no answer yet is not waited for."""
        self._over.set()
        return total(tuple(self.each().values()), tuple(self._waits))

    def each(self) -> dict[str, Probed]:
        """Tell what was met, by URL."""
        return {url: summary(tuple(requests)) for url, requests in self._requests.items()}

    def _watch(self, ask: Callable[[], bool], requests: list[Request]) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                good = ask()
            except Disconnected:
                # The way to production is lost, which says nothing of production: the verb connects again.
                self._over.wait(1)
                continue
            except Failure:
                # It cannot be asked at all, sshd forbids it: the health checks tell why.
                return
            if not self._over.is_set():
                requests.append(Request(began, time.monotonic(), good))
            self._over.wait(max(0.0, began + self._pause - time.monotonic()))

    def _watch_locks(self, waits: Callable[[], Iterable[float]]) -> None:
        while not self._over.is_set():
            try:
                for wait in waits():
                    if self._over.is_set():
                        return
                    # Only the longest is told.
                    self._waits = [max([wait, *self._waits])]
            except Disconnected:
                """As above: it is asked again over the next connection."""
            except Failure:
                return
            self._over.wait(1)
