"""Judge facts and state: the likely cause of what users notice first, then what an update stumbles over."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from deploy import preflight, remedies
from deploy.diagnosis import serving
from deploy.diagnosis.case import Case, Check, Diagnosis, back
from deploy.diagnosis.containers import compose, containers, disk, engine, memory
from deploy.diagnosis.facts import Facts
from deploy.diagnosis.programs import database, programs, server
from deploy.diagnosis.releasing import last_run, maintenance, migrations, others, repository, running
from deploy.message import Message, say
from deploy.plan import Options
from deploy.settings import Settings
from deploy.state import State


def diagnose(settings: Settings, state: State, checks: tuple[Check, ...], facts: Facts) -> tuple[Diagnosis, ...]:
    """Find everything that is wrong, what explains most first; nothing where nothing is."""
    case = Case(settings, state, checks, facts, preflight.judge(settings, state, Options()))
    found = [one for rule in CAUSES for one in rule(case)]
    hindrances = [one for rule in HINDRANCES for one in rule(case)]
    if not case.ill:
        return (*found, *hindrances)
    if not any(one.harms for one in found):
        found = [*server(case), *found]
    first = next((one for one in found if one.harms), None) or _unexplained(case)
    symptoms = tuple(_symptom(check) for check in case.ill)
    return (
        replace(first, evidence=(*first.evidence, *symptoms)),
        *(one for one in found if one is not first),
        *hindrances,
    )


def _symptom(check: Check) -> Message:
    return say("%s: %s %s", check.name, check.url, check.problem or say("is not healthy"))


def _unexplained(case: Case) -> Diagnosis:
    cause = say("%s is not healthy, and nothing else that was looked at is wrong", case.target)
    return Diagnosis("health", cause, (), (remedies.see_logs("", case.target), *back(case)))


def files(case: Case) -> Iterator[Diagnosis]:
    if not case.docker or not case.up:
        return
    for found in serving.judge(case.settings, case.state, case.facts):
        yield Diagnosis("files", found.cause, found.evidence, found.remedies, harms=False)


def browsers(case: Case) -> Iterator[Diagnosis]:
    if not case.docker or not case.up:
        return
    for found in serving.kept(case.state, case.facts):
        yield Diagnosis("files", found.cause, found.evidence, found.remedies, harms=False)


Rule = Callable[[Case], Iterator[Diagnosis]]
# What explains the most comes first.
CAUSES: tuple[Rule, ...] = (engine, disk, containers, programs, database, memory)
# What users do not notice, or not yet.
HINDRANCES: tuple[Rule, ...] = (
    maintenance,
    compose,
    migrations,
    running,
    files,
    repository,
    others,
    last_run,
    browsers,
)
