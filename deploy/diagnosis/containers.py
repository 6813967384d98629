"""Whether the host, Docker and the containers are there: what everything else stands on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from deploy import causes, remedies, words
from deploy.diagnosis.case import SHOWN, Case, Diagnosis, complaints, taken
from deploy.diagnosis.facts import Container
from deploy.message import Message, Told, counted, say
from deploy.plan import Finding
from deploy.state import State

# Fewer free inodes than this are none.
FEW_INODES = 1000
# A container that was started again may end again for so long, in seconds, or where its health check is content.
SETTLED, HEALTHY = 600, 60
# The exit status of what the kernel killed.
KILLED = 137


def engine(case: Case) -> Iterator[Diagnosis]:
    yield from (taken(finding, harms=True) for finding in case.refused("tools", "engine"))


def disk(case: Case) -> Iterator[Diagnosis]:
    floor, told = case.settings.preflight.min_free_mib, set[int]()
    # Of the host's disk every container tells too, and how much is free changes meanwhile.
    for place in sorted(case.facts.places, key=lambda place: place.container):
        few = place.inodes is not None and place.inodes < FEW_INODES
        if place.size_mib in told or (place.free_mib >= floor and not few):
            continue
        told.add(place.size_mib)
        where = say("%s in %s", place.path, place.container) if place.container else say("%s on the host", place.path)
        left = say("%s of %s MiB are free", place.free_mib, place.size_mib)
        if few:
            left = say("%s, and %s inodes", left, place.inodes or 0)
        yield Diagnosis("disk", say("the disk is full: %s", where), (left,), (remedies.FREE_DISK,))
    if case.state.app and case.state.app.readonly:
        yield from (taken(finding) for finding in case.refused("disk") if finding.remedy == remedies.WRITABLE)


def compose(case: Case) -> Iterator[Diagnosis]:
    facts, state = case.facts, case.state
    for finding in case.refused("compose"):
        # Without an engine Compose itself may be well, as without the program that has it.
        if state.tools.get("docker"):
            evidence = [facts.compose_problem] if facts.compose_problem and not state.compose else []
            evidence += [say("docker-compose %s is there", facts.legacy)] if facts.legacy else []
            yield replace(taken(finding), evidence=tuple(evidence))
    if facts.config_problem and case.docker:
        file = f"{case.settings.target.path}/{case.settings.compose.file}"
        cause = say("Compose does not take %s", case.settings.compose.file)
        yield Diagnosis(
            "compose", cause, (facts.config_problem,), (remedies.see_compose(file, case.sudo),), harms=False
        )


def containers(case: Case) -> Iterator[Diagnosis]:
    """Those that do not run, or not as they should: each once, whoever tells of it."""
    if not case.docker:
        return
    told = set[str]()
    for finding in case.refused("app container", "database", "redis", "services"):
        if named := next((one for one in case.facts.containers if _about(finding, one.name)), None):
            if _stands(named, case.state):
                continue
            told.add(named.name)
            yield _ended(case, named, finding)
        elif not _of_database(finding, case):
            yield taken(finding, harms=True)
    for one in case.facts.containers:
        if one.name not in told and (_loops(one, case.state) or (not _stands(one, case.state) and one.code)):
            yield _ended(case, one, None)
        elif one.status == "running" and one.health == "unhealthy" and one.service != case.settings.app.service:
            cause = say("Docker's health check of %s fails", one.name)
            yield Diagnosis("services", cause, one.printed[-SHOWN:], (remedies.see_container(one.name, case.sudo),))


def memory(case: Case) -> Iterator[Diagnosis]:
    """Kills since a container began: when they were, nobody knows."""
    for one in case.facts.containers if case.docker else ():
        if one.memory and one.memory.kills:
            limit = say("%s MiB", one.memory.limit) if one.memory.limit else say("none")
            cause = say("the kernel has killed processes in %s for want of memory: %s", one.name, one.memory.kills)
            evidence = (say("it has %s MiB in use, its limit: %s", one.memory.used, limit),)
            yield Diagnosis("memory", cause, evidence, (remedies.GIVE_MEMORY,))


def _about(finding: Finding, name: str) -> bool:
    """Does a finding say something of this container?"""
    return isinstance(finding.evidence, Message) and name in finding.evidence.values


def _of_database(finding: Finding, case: Case) -> bool:
    return finding.check == "database" and bool(case.state.database.problem)


def _stands(one: Container, state: State) -> bool:
    """Does it run, and not only between two ends?"""
    return one.status == "running" and not _loops(one, state)


def _loops(one: Container, state: State) -> bool:
    """Does it end again and again?"""
    looked = state.containers.get("app")
    if one.status == "restarting" or (looked and looked.name == one.name and looked.status == "restarting"):
        return True
    age = seconds_between(one.started, state.clock)
    return one.restarts > 0 and age is not None and age < (HEALTHY if one.health == "healthy" else SETTLED)


def seconds_between(began: str, now: str) -> float | None:
    """Tell how long it is from one moment to another, as the engine and the host's clock write them, both in UTC."""
    try:
        then, at = (
            datetime.strptime(one.replace("-", "").replace(":", "")[:15], "%Y%m%dT%H%M%S") for one in (began, now)
        )
    except ValueError:
        return None
    return (at - then).total_seconds()


def _ended(case: Case, one: Container, finding: Finding | None) -> Diagnosis:
    """Say how a container ended, and why by what it printed last."""
    again, evidence = _loops(one, case.state), list[Told]()
    killed = one.killed and one.code == KILLED
    if killed:
        cause = say("%s was killed for want of memory, says docker (OOMKilled)", one.name)
    elif again:
        cause = say("%s ends again and again: %s", one.name, one.words or words.ended(str(one.code)))
    else:
        cause = say("%s is %s", one.name, one.status)
    if one.status in ("exited", "dead", "restarting"):
        evidence.append(say("it %s at %s UTC", words.ended(str(one.code)), one.finished[:19]))
    if again:
        evidence.append(counted(one.restarts, "it was started again %s time", "it was started again %s times"))
    if one.error:
        evidence.append(say("docker says: %s", one.error))
    evidence += [say("it printed: %s", line) for line in one.printed[-SHOWN:]]
    evidence += _log_lines(case, one)
    known = causes.remedy((*one.printed, *(line for lines in one.logs.values() for line in lines)))
    act: list[Told] = [remedies.GIVE_MEMORY] if killed else [known] if known else []
    if again:
        act.append(remedies.mend_loop(one.name, case.target, case.sudo))
    elif finding and finding.remedy:
        act.append(finding.remedy)
    else:
        act.append(remedies.start_container(one.status, one.name, case.sudo))
    check = finding.check if finding else "services"
    return Diagnosis(check, cause, tuple(evidence), tuple(act))


def _log_lines(case: Case, one: Container) -> list[Message]:
    """Tell of each log what its last complaint is."""
    return list(complaints({file: [str(line) for line in lines] for file, lines in one.logs.items()}, case))
