"""What runs in the containers: Supervisor, Nginx, the app server, the database."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import PurePosixPath

from deploy import causes, preflight, remedies
from deploy.diagnosis.case import SHOWN, Case, Diagnosis, back, complaints, said, taken
from deploy.diagnosis.facts import Process
from deploy.message import Told, counted, say

# States in which a program of Supervisor's does not run.
DOWN = ("FATAL", "BACKOFF", "EXITED", "STOPPED")


def programs(case: Case) -> Iterator[Diagnosis]:
    """What Supervisor does not run, and Nginx's settings where it does not take them."""
    for one in case.facts.containers:
        if one.nginx:
            cause = say("Nginx in %s does not take its settings", one.name)
            # It goes on with those that it has, as long as it runs.
            yield Diagnosis(
                "nginx", cause, one.nginx_lines, (remedies.test_nginx(one.name, case.sudo),), bool(case.ill)
            )
        if one.supervisor_problem:
            cause = say("Supervisor in %s does not answer", one.name)
            yield Diagnosis(
                "supervisor", cause, (one.supervisor_problem,), (remedies.see_logs("supervisor", case.target),)
            )
        for program in one.programs:
            if program.state not in DOWN:
                continue
            cause = say("Supervisor does not run %s in %s: %s", program.name, one.name, program.state)
            evidence = [say("Supervisor says: %s", program.told)] if program.told else []
            act: list[Told] = [remedies.start_program(one.name, program.name, case.sudo)]
            # Whoever stops one needs no error.
            if program.state != "STOPPED":
                why = preflight.last_error(case.settings, case.state)
                evidence += [say("last error in the logs: %s", why)] if why else []
                known = causes.remedy(said(case.state))
                act = [*([known] if known else []), *act, remedies.see_logs("supervisor", case.target)]
            yield Diagnosis("supervisor", cause, tuple(evidence), tuple(act))


def database(case: Case) -> Iterator[Diagnosis]:
    if not case.docker or not case.state.database.problem:
        return
    for finding in case.refused("database"):
        container = case.state.containers.get("database")
        if container and not container.running:
            continue
        one = case.container(container.name) if container else None
        evidence = tuple(say("it printed: %s", line) for line in one.printed[-SHOWN:]) if one else ()
        yield replace(taken(finding, harms=True), evidence=evidence)


def server(case: Case) -> Iterator[Diagnosis]:
    """The app itself, where its container runs."""
    if not case.docker or not case.up or not case.ill:
        return
    why = preflight.last_error(case.settings, case.state)
    evidence = (*_last_lines(case), *_processes(case))
    if case.silent and _stuck(case):
        cause = say("the app takes requests and answers none: its processes are all busy, or stand still")
        yield Diagnosis(
            "app", cause, evidence, (remedies.restart(case.target), remedies.see_logs("server", case.target))
        )
        return
    if case.silent:
        cause = say("the app does not answer: %s", why) if why else say("the app does not answer")
        known = causes.remedy(said(case.state))
        act = (*((known,) if known else ()), *back(case), remedies.see_logs("server", case.target))
        yield Diagnosis("app", cause, evidence, act)
        return
    for check in case.ill:
        if check.status in (502, 504) or check.status is None:
            # What stands before the app, where the app itself is well.
            cause = say("the app answers, but not through %s", check.name)
            if check.status is not None:
                cause = say("what stands before the app answers %s, and the app itself answers", check.status)
            act = (remedies.see_logs("nginx", case.target), remedies.restart(case.target))
            yield Diagnosis("nginx", cause, evidence, act)
            return


def _stuck(case: Case) -> bool:
    """Do all processes of the server's live for longer than a request may take? One that cannot boot has young ones."""
    ages = _ages(case, case.settings.app.server)
    return bool(ages) and min(ages) > 2 * case.settings.health.request_timeout


def _ages(case: Case, name: str) -> list[int]:
    """Tell the ages, in seconds, of a program's processes in the app's container."""
    return [process.seconds for process in case.app.processes if _runs(process, name)] if case.app else []


def _processes(case: Case) -> Iterator[Told]:
    """Say what of the server runs in the app's container."""
    if case.app is None:
        return
    for name in dict.fromkeys(("nginx", case.settings.app.server)):
        if ages := _ages(case, name):
            told = counted(len(ages), "%s process", "%s processes")
            yield say("%s: %s, the youngest for %s s", name, told, min(ages))
        else:
            yield say("%s: no process", name)
    if case.app.programs:
        yield say("Supervisor: %s", tuple(say("%s %s", program.name, program.state) for program in case.app.programs))


def _runs(process: Process, name: str) -> bool:
    """Is it a program of this name, by itself or as the script of an interpreter?"""
    return any(PurePosixPath(word).name.startswith(name) for word in str(process.command).split()[:2])


def _last_lines(case: Case) -> Iterator[Told]:
    """Tell of each log what its last complaint is, the newest log first."""
    logs: dict[str, list[str]] = {}
    for file, line in case.state.logs:
        logs.setdefault(file, []).append(line)
    yield from islice(complaints(logs, case), SHOWN)
