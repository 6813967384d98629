"""The verbs that change something, one module each, and how they make up a plan.

What concerns the code is a step for every container that runs it (IN_EACH); the rest is done once, in the app's own.

A step module says what it NEEDS of the preflight, which TARGET it reads, when there is a `reason` to run it
(none: nothing to do), and what its `step` is, `proven` where a proof of the new code goes before it.
"""

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Protocol

from deploy import instances, mounted, programs, shell
from deploy.instances import Instance
from deploy.message import Message
from deploy.plan import ASKED_FOR, Options, Plan, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, asking, inside_settings, probes, variables
from deploy.steps import (
    backup,
    build,
    clean,
    copy,
    drain,
    files,
    maintenance,
    migrate,
    mount,
    proof,
    restart,
    restore,
    revive,
    ship,
    sync,
)


class StepModule(Protocol):
    @property
    def NEEDS(self) -> tuple[str, ...]: ...  # noqa: N802 - a constant of the module
    @property
    def TARGET(self) -> TargetIs: ...  # noqa: N802
    def reason(self, settings: Settings, state: State, options: Options) -> Message | None: ...
    def step(self, settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step: ...


# Migrations come before the copy: workers recycle by themselves, and would import new code before its schema is there.
# A new page asks what only new processes answer, while these answer the old page too, so what is built comes last.
HOT_UPDATE = (
    "build",
    "proof",
    "backup",
    "sync",
    "maintenance-on",
    "migrate",
    "drain",
    "copy",
    "files",
    "clean",
    "restart",
    "undrain",
    "ship",
    "maintenance-off",
)
STEPS: MappingProxyType[str, StepModule] = MappingProxyType(
    {
        "build": build,
        "proof": proof,
        "backup": backup,
        "sync": sync,
        "maintenance-on": maintenance.ON,
        "migrate": migrate,
        "drain": drain.OUT,
        "mount": mount,
        "copy": copy,
        "files": files,
        "clean": clean,
        "restart": restart,
        "undrain": drain.BACK,
        "ship": ship,
        "maintenance-off": maintenance.OFF,
    }
)
# These may get ready before their turn.
EARLY = ("sync", "copy", "clean", "restart")
IN_EACH = ("maintenance-on", "mount", "copy", "files", "clean", "restart", "ship", "maintenance-off")
ROLLBACK = ("build", "proof", "backup", "sync", "drain", "copy", "files", "clean", "restart", "undrain", "ship")
# Asked for by name, these run whether or not anything calls for them.
UNCONDITIONAL = ("backup", "clean", "restart")
# What goes before and after a verb that is asked for by name.
BEFORE = MappingProxyType({"migrate": ("backup",), "copy": ("build",), "restart": ("drain",)})
AFTER = MappingProxyType({"copy": ("ship",), "restart": ("undrain",)})


def plan(verb: str, names: tuple[str, ...], settings: Settings, state: State, options: Options, run: str) -> Plan:
    """Decide which of the named steps have to run, and why. What is proven first is confirmed in the end."""
    steps: list[Step] = []
    proven = "proof" in names
    options = replace(options, proven=proven)
    if proven and settings.proof_writes:
        names = ("backup", *(name for name in names if name != "backup"))
    if not drain.is_set(settings):
        names = tuple(name for name in names if STEPS[name] not in (drain.OUT, drain.BACK))
    there = tuple(instances.each(settings, state))
    if any(mounted.is_mounted(one.settings, one.state) for one in there):
        names = mounted.ordered(names)
    for name in names:
        module = STEPS[name]
        for one in there if name in IN_EACH else there[:1]:
            reason = module.reason(one.settings, one.state, options) or (ASKED_FOR if verb in UNCONDITIONAL else None)
            if reason:
                # The proof has staged the code in the first one only.
                step = module.step(one.settings, one.state, options, run, proven and not one.beside)
                steps.append(replace(step, name=one.step(name), early=name in EARLY and one is there[0]))
    if "proof" not in (step.name for step in steps):
        steps = [step for step in steps if step.reason != backup.FOR_PROOF]
    confirm = settings.confirm.timeout if proven and steps else 0
    return Plan(verb, state.repository.target, tuple(steps), confirm)


def asides(settings: Settings, state: State, plan: Plan, run: str) -> dict[str, str]:
    """What the host needs to undo a plan and to prove releases by itself, by the names of runner.sh."""
    found = {
        f"{one.step(name)}.sh": script
        for one in instances.each(settings, state)
        for name, script in _asides(one, plan, run).items()
    }
    if any(step.name in ("backup", "swap") for step in plan.steps):
        found["proven.sh"] = restore.script(settings, state, run, "proven.sh")
    return found


def _asides(one: Instance, plan: Plan, run: str) -> dict[str, str]:
    settings, state = one.settings, one.state
    shared = variables(settings) | {"probes": probes(one.checks), "beside": one.beside}
    checks = {check.name: dict(check.expect) for check in settings.health.checks}
    told = inside_settings(settings) | {
        "run": run,
        "expect": checks,
        "serves": state.serves,
        "wanted": {one.id: one.name for one in state.programs if one.server or not state.serves},
        "left": [one.program.id for one in programs.replacements(settings, state) if one.way == "leave"],
    }
    record = state.app.record if state.app and state.fresh else None
    old = record.revision if record and record.complete else ""
    prove = shell.script(
        "containers.sh",
        "prove.sh",
        **shared,
        run=run,
        prove_settings=json.dumps(told | {"revision": plan.revision}),
        old_settings=json.dumps(told | {"revision": old}),
        before="healthy" if state.answering else "ill",
        health_timeout=settings.health.timeout,
    )
    settle = shell.script(
        "containers.sh",
        asking(settings),
        "settle.sh",
        **{**shared, "inside_settings": json.dumps(told)},
        run=run,
        container_started=state.containers["app"].started,
    )
    return {"settle": settle, "prove": prove, "revive": revive.script(settings, state, run)}


def needs(names: tuple[str, ...]) -> tuple[str, ...]:
    """The checks of the preflight that these steps cannot do without."""
    return tuple(dict.fromkeys(check for name in names for check in STEPS[name].NEEDS))
