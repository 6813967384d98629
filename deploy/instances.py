"""Every container that runs the code, each with settings and state as if it were the only one.

So a step, a check or a proof is written for one container, and is made once for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from deploy.settings import Check, Settings, of_service
from deploy.state import State


@dataclass(frozen=True)
class Instance:
    """A container that runs the code; `beside`: its name, where it is not the first one of the app's service."""

    beside: str
    settings: Settings
    state: State

    @property
    def checks(self) -> tuple[Check, ...]:
        """What is asked of it: of a replica what it answers by itself, of another service nothing."""
        checks = self.settings.health.checks
        if not self.beside:
            return checks
        return tuple(check for check in checks if check.inside and self.state.replica)

    def step(self, verb: str) -> str:
        """Name a step of a verb in this container."""
        return f"{verb}@{self.beside}" if self.beside else verb


def each(settings: Settings, state: State) -> Iterator[Instance]:
    """Give them in the order in which they are updated: the app's own, its replicas, those of other services."""
    yield Instance("", settings, state)
    for other in state.others:
        own = of_service(settings, other.also) if other.also else settings
        yield Instance(other.name, replace(own, app=replace(own.app, container=other.name)), other.state)
