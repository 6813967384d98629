"""What is remembered of the masters whose workers were replaced: a later roll and the check of freshness go by it."""

from __future__ import annotations

from typing import Any

from deploy.inside.processes import Process
from deploy.inside.programs import Program
from deploy.inside.record import read_json, remove_json, write_json
from deploy.inside.wire import raw

# What earlier versions wrote, of the one master that they knew.
FORMER = b"rolled.json"


def remembered(settings: dict[str, Any]) -> dict[float, dict[str, Any]]:
    """Tell what is remembered of each master, by the moment that it started.

    `at` and `ended` are when its roll began and ended, `workers` how many there should be, `reloaded` when it last read
    its settings again, and `boot` what a new worker took: seconds, and seconds of the processor.
    """
    former, rolls = read_json(settings, FORMER), read_json(settings, b"rolls.json")
    masters = [former] if former else []
    return {one["started"]: one for one in masters + (rolls["masters"] if rolls else [])}


def remember(settings: dict[str, Any], master: Process, living: list[Program], **facts: Any) -> None:
    """Remember this of a master, and nothing of those that have ended."""
    known = remembered(settings)
    there = {program.process.started for program in living}
    masters = [one for started, one in known.items() if started in there and started != master.started]
    told = {name: value for name, value in facts.items() if value is not None}
    changed = {**known.get(master.started, {}), "started": master.started, **told}
    write_json(raw(settings["record"]), b"rolls.json", {"masters": [*masters, changed]})
    remove_json(settings, FORMER)


def is_fresh(
    program: Program, processes: dict[int, Process], copied: float, rolls: dict[float, dict[str, Any]]
) -> bool:
    """Tell whether all that serves of a program is younger than the copy.

    A master whose workers were replaced may be older than the code: it has imported none of it.
    """
    rolled = rolls.get(program.process.started, {}).get("at", 0.0) > copied
    younger = {pid: pid in processes and processes[pid].started > copied for pid in program.pids}
    return all(young or (pid == program.process.pid and rolled) for pid, young in younger.items() if pid in processes)
