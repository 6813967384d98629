"""What is looked at on the hosts of a group: one table, a line for each."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from deploy import builds, group, migrations, preflight, releases, remedies, words
from deploy.errors import Failure
from deploy.message import Message, Printed, Told, say
from deploy.plan import Finding, Options, refuse
from deploy.state import PastRun, State
from deploy.verbs import hosts as every
from deploy.verbs import status as looks
from deploy.verbs.health import WATCH_PAUSE
from deploy.verbs.hosts import Hosts
from deploy.verbs.migrate import settled
from deploy.verbs.session import Session

if TYPE_CHECKING:
    from deploy.health import Check

_Found = TypeVar("_Found")


def table(hosts: Hosts, headers: Sequence[Told], found: Mapping[str, Sequence[Told] | Failure]) -> None:
    """Print a line for each host, those first that differ from most."""
    rows = {name: one for name, one in found.items() if not isinstance(one, Failure)}
    marked = dict(zip(rows, group.unusual([tuple(row) for row in rows.values()]), strict=True))
    order = sorted(rows, key=lambda name: not marked[name])
    if order:
        hosts.report.table(
            (say("host"), *headers),
            [(Printed(name), *rows[name]) for name in order],
            [{at + 1 for at in marked[name]} for name in order],
        )


def told_of(
    found: Mapping[str, _Found | Failure], tell: Callable[[str, _Found], Sequence[Told]]
) -> dict[str, Sequence[Told] | Failure]:
    """Say of each host what was found there; how it failed where it did."""
    return {name: one if isinstance(one, Failure) else tell(name, one) for name, one in found.items()}


def document(hosts: Hosts, found: Mapping[str, _Found | Failure], facts: Callable[[str, _Found], object]) -> None:
    """Print a JSON list with an object for each host; of one that failed, the problem."""
    hosts.report.document(
        [
            {"target": name, "problem": one.fact} if isinstance(one, Failure) else facts(name, one)
            for name, one in found.items()
        ]
    )


def status(hosts: Hosts, *, as_json: bool, watch: bool = False) -> None:
    """Tell of each host what runs, drift, services, migrations, lock and last run, once or again and again."""
    while watch:
        with suppress(Failure):
            _status(hosts, as_json=as_json)
        time.sleep(looks.WATCH_PAUSE)
    _status(hosts, as_json=as_json)


def _status(hosts: Hosts, *, as_json: bool) -> None:
    states = hosts.each(lambda session: session.read("remote"))
    if as_json:
        document(hosts, states, lambda name, state: looks.facts(hosts.sessions[name], state))
    else:
        headers = (
            say("runs"),
            say("clone"),
            say("new"),
            say("drift"),
            say("services"),
            say("migrations"),
            say("lock"),
            say("last run"),
        )
        table(hosts, headers, told_of(states, lambda name, state: looks.cells(hosts.sessions[name], state)))
        tell_difference(hosts, {name: one for name, one in states.items() if not isinstance(one, Failure)})
    every.end(hosts, every.failures(states))


def tell_difference(hosts: Hosts, states: Mapping[str, State]) -> None:
    """Say which command makes hosts equal that run different releases."""
    if len({releases.running(state) for state in states.values()}) > 1:
        hosts.report.line(say("! the hosts run different releases → %s", remedies.make_equal(hosts.name)), "yellow")


def health(hosts: Hosts, *, watch: bool, as_json: bool) -> None:
    """Ask every check of every host, once or again and again; raise unless all are healthy."""
    while watch:
        with suppress(Failure):
            _ask_health(hosts, as_json=as_json)
        time.sleep(WATCH_PAUSE)
    _ask_health(hosts, as_json=as_json)


def _ask_health(hosts: Hosts, *, as_json: bool) -> None:
    found = hosts.each(lambda session: session.examine("running"))
    if as_json:
        document(
            hosts,
            found,
            lambda name, one: hosts.sessions[name].report.health_facts(name, *one),
        )
    else:
        headers = (say("health"), say("runs"), say("drift"), say("built from other sources"))
        table(hosts, headers, told_of(found, lambda name, one: _health(*one)))
    failed = every.failures(found)
    for name, one in found.items():
        if not isinstance(one, Failure) and (ill := tuple(check.name for check in one[0] if not check.healthy)):
            failed[name] = Failure(say("%s is not healthy: %s", name, ill))
    every.end(hosts, failed)


def _health(checks: "tuple[Check, ...]", state: State) -> tuple[Told, ...]:
    ill = tuple(say("%s %s", check.name, check.problem) for check in checks if check.problem)
    return (
        words.joined(ill) if ill else say("healthy"),
        Printed(releases.running(state)[:7]) or say("unknown"),
        preflight.drift(state) or say("none"),
        say("%s", tuple(builds.stale(state))) if builds.stale(state) else say("none"),
    )


def preflight_(hosts: Hosts, options: Options) -> None:
    """Read every host's state and report every finding that is no good sign, with its hosts; changes nothing."""
    states = hosts.each(lambda session: session.read("remote"))
    found = {
        name: one if isinstance(one, Failure) else preflight.judge(hosts.sessions[name].settings, one, options)
        for name, one in states.items()
    }
    headers = (say("refusals"), say("warnings"), say("findings"))
    table(hosts, headers, told_of(found, lambda name, findings: _counts(findings)))
    judged = {name: one for name, one in found.items() if not isinstance(one, Failure)}
    report_findings(hosts, judged)
    failed = every.failures(found)
    for name, findings in judged.items():
        with every.noting(name, failed):
            refuse(findings, [finding.check for finding in findings], shown=True)
    every.end(hosts, failed)


def _counts(findings: Iterable[Finding]) -> tuple[Told, ...]:
    levels = [finding.level for finding in findings]
    return say("%s", levels.count("refusal")), say("%s", levels.count("warning")), say("%s", len(levels))


def report_findings(hosts: Hosts, judged: Mapping[str, Sequence[Finding]]) -> None:
    """Print every finding that is no good sign once, with the hosts that it was made on."""
    there: dict[Finding, list[str]] = {}
    for name, findings in judged.items():
        for finding in findings:
            if finding.level != "ok":
                there.setdefault(finding, []).append(name)
    hosts.report.findings(
        [
            Finding(one.level, one.check, say("%s: %s", tuple(names), one.evidence), one.remedy)
            for one, names in there.items()
        ]
    )


def current(hosts: Hosts) -> None:
    """Tell of each host the database's revision, the heads of the code there, and how many migrations are pending."""
    states = hosts.each(settled)
    headers = (say("database"), say("heads"), say("pending"))
    table(hosts, headers, told_of(states, lambda name, state: _current(hosts.sessions[name], state)))
    every.end(hosts, every.failures(states))


def _current(session: Session, state: State) -> tuple[Told, ...]:
    chain, database = state.chain, state.database
    at = say("%s", database.revisions) if database.revisions else say("no revision")
    if chain is None or chain.error:
        return at, chain.error if chain else say("unknown"), say("unknown")
    pending = migrations.pending(session.settings, database, chain)
    return at, say("%s", chain.heads) if chain.heads else say("none"), say("%s", len(pending))


def history(hosts: Hosts, *, as_json: bool, html: str = "") -> None:
    """Tell every run, the newest first; one of several hosts once, with how it ended on each."""
    read = hosts.each(looks.past)
    found = {name: one if isinstance(one, Failure) else one[0] for name, one in read.items()}
    if html:
        there = {name: one for name, one in found.items() if not isinstance(one, Failure)}
        looks.write_page(hosts.report, html, hosts.name, there)
    elif as_json:
        document(hosts, found, lambda name, past: {"target": name, "runs": [looks.facts_of(run) for run in past]})
    else:
        for name, one in read.items():
            for problem in () if isinstance(one, Failure) else one[1]:
                hosts.report.line(say("! %s: %s", name, problem), "yellow")
        past = [(run, name) for name, one in found.items() if not isinstance(one, Failure) for run in one]
        past.sort(key=lambda one: (one[0].id, one[0].ended), reverse=True)
        for _, same in groupby(past, key=lambda one: one[0].id):
            parts = list(same)
            good = all(run.outcome == "done" for run, _ in parts)
            hosts.report.line(_past(parts), "green" if good else "yellow")
        if not past:
            hosts.report.line(say("there was no run on these hosts yet"))
    every.end(hosts, every.failures(found))


def _past(parts: Sequence[tuple[PastRun, str]]) -> Message:
    """Say of a run how it ended, by the hosts that ended alike."""
    run = parts[0][0]
    ends: dict[Told, list[str]] = {}
    for one, name in parts:
        ends.setdefault(looks.outcome(one), []).append(name)
    told = words.joined(say("%s on %s", end, tuple(sorted(names))) for end, names in ends.items())
    return say("%s  %s  run %s", looks.about(run), told, run.id)


def in_each(hosts: Hosts, act: Callable[[Session], None]) -> None:
    """Do what looks at one host with each, one after the other, and say of which what is told."""
    failed = dict(hosts.unreached)
    for name, session in hosts.sessions.items():
        with every.noting(name, failed):
            act(session)
    every.end(hosts, failed)
