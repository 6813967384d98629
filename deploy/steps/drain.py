"""Take a host out of service while its code changes, and put it back: by commands of the settings, run on the host.

Each undoes the other, so that a host is put back also when the update fails, and is out while that is undone.
"""

from dataclasses import dataclass
from typing import Literal

from deploy import shell
from deploy.message import Message, Printed, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables
from deploy.steps import restart


def is_set(settings: Settings) -> bool:
    return bool(settings.drain.before or settings.drain.after)


@dataclass(frozen=True)
class Drain:
    """One of the two: what runs `before` the new code comes, or `after` it serves."""

    name: str
    when: Literal["before", "after"]
    NEEDS: tuple[str, ...] = ("tools",)
    TARGET: TargetIs = "running"

    def reason(self, settings: Settings, state: State, options: Options) -> Message | None:
        return say("processes are replaced") if restart.reason(settings, state, options) else None

    def step(self, settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
        drain = settings.drain
        command, undo = (drain.before, drain.after) if self.when == "before" else (drain.after, drain.before)
        return Step(
            self.name,
            self.reason(settings, state, options) or ASKED_FOR,
            _script(settings, command),
            drain.timeout,
            (Printed(command) if command else say("nothing"),),
            undo=_script(settings, undo),
        )


OUT, BACK = Drain("drain", "before"), Drain("undrain", "after")


def _script(settings: Settings, command: str) -> str:
    target = settings.target
    host = target.host.rpartition("@")[2]
    return shell.script("steps/drain.sh", **variables(settings), command=command, target_name=target.name, host=host)
