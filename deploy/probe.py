"""Watch a URL of production while it is updated, and tell what its users met."""

import time
from collections.abc import Callable, Sequence
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


def wanted(settings: Settings) -> Wanted:
    """What is asked: probe.url, by default the first health check."""
    if not settings.probe.url:
        return settings.health.checks[0]
    url = urlsplit(settings.probe.url)
    path = url._replace(scheme="", netloc="").geturl()
    return Wanted(name="probe", url=f"{url.scheme}://{url.netloc}", paths=(path or "/",))


class Probe:
    """Asks again and again in a thread of its own, until it is ended. `ask` tells whether the answer is good."""

    def __init__(self, ask: Callable[[], bool], per_second: int) -> None:
        self._ask = ask
        self._pause = 1 / per_second
        self._requests: list[Request] = []
        self._over = Event()
        Thread(target=self._watch, daemon=True).start()

    def end(self) -> Probed:
        """Ask no more, and tell what was met. A request that has no answer yet is not waited for."""
        self._over.set()
        return summary(tuple(self._requests))

    def _watch(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                good = self._ask()
            except Disconnected:
                # The way to production is lost, which says nothing of production: the verb connects again.
                self._over.wait(1)
                continue
            except Failure:
                # It cannot be asked at all, sshd forbids it: the health checks tell why.
                return
            if not self._over.is_set():
                self._requests.append(Request(began, time.monotonic(), good))
            self._over.wait(max(0.0, began + self._pause - time.monotonic()))
