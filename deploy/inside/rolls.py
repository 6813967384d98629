"""What is remembered of the masters whose workers were replaced: a later roll and the check of freshness go by it."""

from __future__ import annotations

import os
from typing import Any

from deploy.inside.processes import Process
from deploy.inside.programs import Program
from deploy.inside.record import read_json, remove_json, write_json
from deploy.inside.wire import raw

# What earlier versions wrote, of the one master that they knew.
FORMER = b"rolled.json"


def remembered(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Tell what is remembered of each master, by the moment that it `started` and its `pid`.

    `at` and `ended` are when its roll began and ended, `workers` how many there should be, `reloaded` when it last read
    its settings again, `demand` for which part of its time a new worker's boot wanted a processor, `asked` what its
    settings are, and `apart` which of its processes run no code.
    """
    former, rolls = read_json(settings, FORMER), read_json(settings, b"rolls.json")
    masters = [former] if former else []
    return masters + (rolls["masters"] if rolls else [])


def of(rolls: list[dict[str, Any]], master: Process) -> dict[str, Any]:
    """Find what is remembered of a master: a Supervisor starts several at the same moment."""
    mine = (one for one in rolls if one["started"] == master.started and one.get("pid", master.pid) == master.pid)
    return next(mine, {})


def remember(settings: dict[str, Any], master: Process, living: list[Program], **facts: Any) -> None:
    """Remember this of a master, and nothing of those that have ended."""
    rolls = remembered(settings)
    others = [program.process for program in living if program.process.pid != master.pid]
    masters = [{**known, "pid": other.pid} for other in others if (known := of(rolls, other))]
    told = {name: value for name, value in facts.items() if value is not None}
    changed = {**of(rolls, master), "started": master.started, "pid": master.pid, **told}
    write_json(raw(settings["record"]), b"rolls.json", {"masters": [*masters, changed]})
    remove_json(settings, FORMER)


def settings_asked(told: dict[str, Any]) -> dict[str, Any]:
    """What to remember of the settings that a server told: to have them read again takes longer than all else."""
    return {"told": told, "file": _stamp(told["config"])}


def settings_known(settings: dict[str, Any], master: Process) -> dict[str, Any] | None:
    """Tell a master's settings as they were asked before; None where their file has changed since, or nobody asked."""
    asked = of(remembered(settings), master).get("asked")
    if asked is None or asked["file"] != _stamp(asked["told"].get("config")):
        return None
    told: dict[str, Any] = asked["told"]
    return told


def _stamp(file: str | None) -> list[int]:
    """What changes with a file's content."""
    if not file or not os.path.exists(file):
        return []
    status = os.stat(raw(file))
    return [status.st_ino, status.st_size, status.st_mtime_ns]


def is_fresh(program: Program, processes: dict[int, Process], copied: float, rolls: list[dict[str, Any]]) -> bool:
    """Tell whether all that serves of a program is younger than the copy.

    A master whose workers were replaced may be older than the code: it has imported none of it.
    """
    known = of(rolls, program.process)
    excused = {program.process.pid, *known.get("apart", [])} if known.get("at", 0.0) > copied else set()
    return all(pid in excused or processes[pid].started > copied for pid in program.pids if pid in processes)
