"""The verbs that change something, one module each, and how they make up a plan.

A step module says what it NEEDS of the preflight, which TARGET it reads, when there is a `reason` to run it
(none: nothing to do), and what its `step` is.
"""

from types import MappingProxyType
from typing import Protocol

from deploy.plan import Options, Plan, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs
from deploy.steps import clean, copy, migrate, restart, sync


class StepModule(Protocol):
    NEEDS: tuple[str, ...]
    TARGET: TargetIs

    def reason(self, settings: Settings, state: State, options: Options) -> str: ...
    def step(self, settings: Settings, state: State, options: Options, run: str) -> Step: ...


HOT_UPDATE = ("sync", "copy", "clean", "migrate", "restart")
STEPS: MappingProxyType[str, StepModule] = MappingProxyType(
    {"sync": sync, "copy": copy, "clean": clean, "migrate": migrate, "restart": restart}
)
# Asked for by name, these run whether or not anything calls for them.
UNCONDITIONAL = ("clean", "restart")


def plan(verb: str, names: tuple[str, ...], settings: Settings, state: State, options: Options, run: str) -> Plan:
    """Decide which of the named steps have to run, and why."""
    steps: list[Step] = []
    for name in names:
        module = STEPS[name]
        reason = module.reason(settings, state, options) or ("asked for" if verb in UNCONDITIONAL else "")
        if reason:
            steps.append(module.step(settings, state, options, run))
    return Plan(verb=verb, revision=state.repository.target, steps=tuple(steps))


def needs(names: tuple[str, ...]) -> tuple[str, ...]:
    """The checks of the preflight that these steps cannot do without."""
    return tuple(dict.fromkeys(check for name in names for check in STEPS[name].NEEDS))
