"""What the host is told of the programs that run the code, so that it can decide how each is replaced."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

from deploy.inside.message import ExpectedError
from deploy.inside.processes import Process, all_processes, own_bytes, shared_bytes
from deploy.inside.programs import Program, programs
from deploy.inside.record import Record, boot_id, read_json, uptime
from deploy.inside.rolls import is_fresh, of, remembered, settings_known
from deploy.inside.uwsgi import UWSGI, chain_settings
from deploy.inside.wire import MIB, one_line, raw
from deploy.inside.workers import ask_settings, told_settings, workers


class Survey:
    """The programs; made early, since the servers take a while to read their own settings."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings, self._server = settings, settings["server"].encode()
        self.programs = programs(settings)
        self._asked = {program.id: self._ask(program) for program in self.programs if program.server}

    def _ask(self, program: Program) -> subprocess.Popen[bytes] | dict[str, Any] | str:
        try:
            if self._server.startswith(UWSGI):
                return chain_settings(program.process)
            return settings_known(self._settings, program.process) or ask_settings(program.process, self._server)
        except (ExpectedError, OSError, ValueError) as error:
            return one_line(error)

    @property
    def worker_mib(self) -> int:
        servers = (program for program in self.programs if program.server)
        return max((own_bytes(pid) for program in servers for pid in program.pids), default=0) // MIB

    def facts(self, record: Record | None) -> list[dict[str, Any]]:
        fresh, there = fresh_ones(self._settings, record, self.programs), all_processes()
        return [
            {
                "id": program.id,
                "name": program.name,
                "supervised": bool(program.supervised),
                "server": program.server,
                "fresh": program.id in fresh,
                "processes": len(program.pids),
                "each": self._each(program, there),
                **(self._served(program) if program.server else {}),
            }
            for program in self.programs
        ]

    def _each(self, program: Program, there: dict[int, Process]) -> list[dict[str, int]]:
        """Tell of each process that works for how many seconds it runs, and its memory; a master does not work."""
        found = [there[pid] for pid in program.pids if pid in there]
        if program.server:
            found = [one for one in found if one.ppid == program.process.pid]
        return [
            {"pid": one.pid, "age": int(uptime() - one.started), "mib": shared_bytes(one.pid) // MIB} for one in found
        ]

    def _served(self, program: Program) -> dict[str, Any]:
        asked = self._asked[program.id]
        try:
            if isinstance(asked, str):
                return {"workers": 0, "problem": asked}
            count = len(workers(program.process, self._server))
            told = asked if isinstance(asked, dict) else told_settings(asked, self._server)
        except (ExpectedError, OSError, ValueError) as error:
            return {"workers": 0, "problem": one_line(error)}
        config = told["config"] or ""
        changed = bool(config) and self._was_configured_otherwise(program, config)
        found = {"workers": count, "preload": bool(told["preload"]), "config": config, "reconfigure": changed}
        return found | {"chain": bool(told.get("chain"))}

    def _was_configured_otherwise(self, program: Program, config: str) -> bool:
        """Did the file that a master was configured by change since, or come back with the release that was undone?"""
        known = of(remembered(self._settings), program.process)
        configured = max(program.process.started, known.get("reloaded", 0.0))
        booted = time.time() - uptime()
        if os.path.exists(config) and os.stat(raw(config)).st_mtime > booted + configured:
            return True
        undone = read_json(self._settings, b"undone.json")
        # That file is older than the master.
        return undone is not None and undone["boot_id"] == boot_id() and undone["from"] <= configured < undone["to"]


def fresh_ones(settings: dict[str, Any], record: Record | None, found: list[Program]) -> set[str]:
    """Name the programs of which all that serves is younger than the last copy."""
    if record is None or not record.complete:
        return set()
    if record.facts["boot_id"] != boot_id():
        return {program.id for program in found}
    rolls, there = remembered(settings), all_processes()
    return {program.id for program in found if is_fresh(program, there, record.facts["uptime"], rolls)}
