"""Say what is wrong with production and why; write all of it down for a colleague. Changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from deploy import answers
from deploy.beside import Beside
from deploy.diagnosis import facts
from deploy.diagnosis.case import Diagnosis
from deploy.diagnosis.facts import Facts
from deploy.diagnosis.judging import diagnose
from deploy.errors import Exit, Failure
from deploy.message import Message, Told, counted, say
from deploy.state import State
from deploy.verbs import hosts as every
from deploy.verbs import support_bundle
from deploy.verbs.groups import table, told_of
from deploy.verbs.hosts import Hosts
from deploy.verbs.session import Session, tail

if TYPE_CHECKING:
    from deploy.health import Check

# Of so many of the last runs is read what they told; of more for a bundle.
LAST, JOURNALS = 1, 5


@dataclass(frozen=True)
class Examined:
    """What was read of a host, and what is wrong there."""

    state: State
    checks: "tuple[Check, ...]"
    facts: Facts
    found: tuple[Diagnosis, ...]


def one(session: Session, bundle: str) -> None:
    """Tell what is wrong with a host; Failure where anything is. The `bundle` is a file to write all of it into."""
    with support_bundle.into(bundle) as file:
        examined = examine(session, journals=JOURNALS if file else LAST)
        session.report.diagnoses(examined.found)
        if file:
            file.write(session.settings.target.name, {session.settings.target.name: (session, examined)})
            session.report.line(file.told)
    if examined.found:
        raise _failure(session.settings.target.name, examined.found)
    session.report.line(_well(session.settings.target.name, examined), "green")


def many(hosts: Hosts, bundle: str) -> None:
    """Tell what is wrong with each host of a group."""
    with support_bundle.into(bundle) as file:
        found = hosts.each(partial(examine, journals=JOURNALS if file else LAST))
        table(hosts, (say("found"), say("likely cause")), told_of(found, lambda _, examined: _cells(examined)))
        read = {name: one for name, one in found.items() if isinstance(one, Examined)}
        _tell_each(hosts, read)
        if file:
            file.write(hosts.name, {name: (hosts.sessions[name], one) for name, one in read.items()})
            hosts.report.line(file.told)
    every.end(hosts, every.failures(found))
    if wrong := [one for examined in read.values() for one in examined.found]:
        raise _failure(hosts.name, wrong)


def examine(session: Session, *, journals: int = LAST) -> Examined:
    """Read and judge: the state, the health checks, and beside them what else a diagnosis needs."""
    script = facts.script(session.settings, journals=journals)
    asked = Beside(partial(session.host.run, script))
    checks, state = session.examine("remote")
    answer = asked.result()
    if answer.status != 0:
        raise Failure(say("the host did not tell all that was asked"), evidence=tail(answer))
    with answers.understood(answer.stdout, say("what the host told of itself")):
        read = facts.parse(session.settings, answer.stdout)
    return Examined(state, checks, read, diagnose(session.settings, state, checks, read))


def _tell_each(hosts: Hosts, read: Mapping[str, Examined]) -> None:
    """Tell what is wrong once, with the hosts that it was found on."""
    there: dict[Diagnosis, list[str]] = {}
    for name, examined in read.items():
        for one in examined.found:
            there.setdefault(one, []).append(name)
    harmful_first = sorted(there, key=lambda one: not one.harms)
    hosts.report.diagnoses(tuple(_of(there[one], one) for one in harmful_first))


def _of(names: Sequence[str], one: Diagnosis) -> Diagnosis:
    return Diagnosis(one.check, say("%s: %s", tuple(names), one.cause), one.evidence, one.remedies, one.harms)


def _cells(examined: Examined) -> tuple[Told, ...]:
    return say("%s", len(examined.found)), examined.found[0].cause if examined.found else say("none")


def _failure(name: str, found: Sequence[Diagnosis]) -> Failure:
    told = counted(len(found), "%s thing is wrong", "%s things are wrong, the likeliest cause first")
    return Failure(say("%s: %s", name, told), code=Exit.FOUND)


def _well(name: str, examined: Examined) -> Message:
    """Say that nothing is wrong, and what was looked at."""
    read = examined.facts
    looked_at = (
        counted(len(examined.checks), "%s health check", "%s health checks"),
        counted(len(read.containers), "%s container", "%s containers"),
        counted(len(read.files), "%s served file", "%s served files"),
    )
    return say("%s: nothing is wrong with %s", name, looked_at)
