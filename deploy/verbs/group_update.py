"""Change the hosts of a group as one: read together, decided together, on one release together or not at all."""

import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from deploy import changes, group, live, releases, remedies, runs, steps, summary
from deploy.errors import Exit, Failure
from deploy.message import Message, Printed, say
from deploy.plan import Options
from deploy.state import PastRun, State, TargetIs, variables
from deploy.verbs import bake, preview
from deploy.verbs import hosts as every
from deploy.verbs import status as looks
from deploy.verbs.follow import Follower, operator
from deploy.verbs.groups import report_findings, table, tell_difference, told_of
from deploy.verbs.hosts import Hosts, named
from deploy.verbs.session import Session, agree
from deploy.verbs.telling import Telling, facts_of
from deploy.verbs.together import Together, Work
from deploy.verbs.update import Decision, deliver, demand_dry_run, judge, prove, refuse_locked, weigh

if TYPE_CHECKING:
    from deploy.health import Check

_Found = TypeVar("_Found")
Looked = Mapping[str, "tuple[tuple[Check, ...], State]"]
# What is done to a database, once for all hosts that share it.
OF_DATABASE = ("backup", "migrate")
# Of a verb that is asked for by itself: it takes users' requests away where it goes wrong, so one host after the other.
ONE_BY_ONE = ("restart",)
# The host's end is told whole where somebody has to look after it.
ALARMING = (Exit.FAILED, Exit.UNDONE_ILL)


def hot_update(
    hosts: Hosts, options: Options, *, dry_run: bool, commands: bool, yes: bool, probe: bool, skip: bool
) -> None:
    """Bring every host to the remote branch and prove it, or say what would be done."""
    demand_dry_run(commands, dry_run)
    hosts.demand_all(skip=skip)
    looked = _look(hosts, "remote", ask=not dry_run, ahead=options if dry_run else None)
    batches = group.in_batches(tuple(looked), hosts.group)
    decisions = _decide(hosts, "hot-update", steps.HOT_UPDATE, options, looked, batches)
    _bring(hosts, decisions, batches, options, dry_run=dry_run, commands=commands, yes=yes, probe=probe)


def rollback(
    hosts: Hosts, revision: str, *, discard: bool, dry_run: bool, commands: bool, yes: bool, skip: bool
) -> None:
    """Bring every host back to one release, by default the last that all had; where they differ, to the older one."""
    demand_dry_run(commands, dry_run)
    hosts.demand_all(skip=skip)
    states = _all(hosts, hosts.each(lambda session: session.read("running")))
    confirmed = {name: [run.revision for run in releases.confirmed(state)] for name, state in states.items()}
    running = {name: releases.running(state) for name, state in states.items()}
    target = revision or group.back_to(confirmed, running, releases.before(next(iter(states.values()))))
    if not target:
        fact = say("there is no release that all of %s have had", tuple(states))
        raise Failure(fact, remedy=remedies.list_releases(hosts.name), code=Exit.REFUSED)
    options = Options(keep_schema=True, back=True, discard=discard)
    looked = _look(hosts, f"commit:{target}", ask=not dry_run, ahead=options if dry_run else None)
    if lacking := tuple(name for name, (_, state) in looked.items() if not state.repository.target):
        fact = say("the clone on %s has no commit %s, or several of that name", lacking, target)
        raise Failure(fact, remedy=remedies.list_releases(hosts.name), code=Exit.REFUSED)
    batches = group.in_batches(tuple(looked), hosts.group)
    decisions = _decide(hosts, "rollback", steps.ROLLBACK, options, looked, batches)
    _bring(hosts, decisions, batches, options, dry_run=dry_run, commands=commands, yes=yes)


def run_step(hosts: Hosts, verb: str, options: Options) -> None:
    """Carry out one verb alone on every host; what concerns a database, on one of those that share it."""
    hosts.demand_all(skip=False)
    names = (*steps.BEFORE.get(verb, ()), verb, *steps.AFTER.get(verb, ()))
    looked = _look(hosts, steps.STEPS[verb].TARGET, ask=False)
    batches = [(name,) for name in looked] if verb in ONE_BY_ONE else [tuple(looked)]
    decisions = _decide(hosts, verb, names, options, looked, batches)
    _refuse_locked(hosts, decisions)
    _refuse(hosts, decisions)
    for name, decision in decisions.items():
        if not decision.plan.steps:
            hosts.sessions[name].report.nothing_to_do(Printed(verb), decision.state)
    with _telling(hosts, decisions) as told:
        if any(decision.plan.steps for decision in decisions.values()):
            told.begin()
        _carry_out(hosts, decisions, batches)


def once_per_database(hosts: Hosts, act: Callable[[Session], None]) -> None:
    """Do it with one host of each database."""
    hosts.demand_all(skip=False)
    states = _all(hosts, hosts.each(lambda session: session.read("running")))
    first = group.migrators({name: state.database.server for name, state in states.items()}, [tuple(states)])
    failed: dict[str, Failure] = {}
    for name in (name for name in states if name in first):
        with every.noting(name, failed):
            act(hosts.sessions[name])
    every.end(hosts, failed)


def refuse_restore(hosts: Hosts) -> None:
    """A restore stops the app of one host, while those of others would go on writing."""
    fact = say("a restore is of one host: %s is a group", hosts.name)
    raise Failure(fact, remedy=remedies.name_member(hosts.names), code=Exit.USAGE)


def attach(hosts: Hosts, *, confirm: bool, undo: bool) -> None:
    """Follow the run in progress on every host, or tell how the last one ended; confirm all, or have all undone."""
    if confirm and undo:
        raise Failure(say("--confirm and --undo exclude each other"), code=Exit.USAGE)
    everywhere = _Everywhere(hosts.sessions)
    with live.following({name: (session.report, ()) for name, session in hosts.sessions.items()}):
        failed = every.failures(hosts.each(partial(_follow, everywhere, confirm=confirm, undo=undo), wide=True))
    ends = hosts.each(lambda session: (looks.past(session)[0][-1:], session.read("running")))
    headers = (say("runs"), say("last run"), say("it ended"))
    table(hosts, headers, told_of(ends, lambda name, one: _end_of(*one)))
    tell_difference(hosts, {name: one[1] for name, one in ends.items() if not isinstance(one, Failure)})
    every.end(hosts, failed)


class _Everywhere:
    """Whether all hosts are proven, or have ended well; known as soon as one is not."""

    def __init__(self, names: Iterable[str]) -> None:
        self._unknown, self._good = set(names), True
        self._changed = threading.Condition()

    def tell(self, name: str, *, good: bool) -> None:
        with self._changed:
            self._unknown.discard(name)
            self._good = self._good and good
            self._changed.notify_all()

    def proven(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: not (self._unknown and self._good))
            return self._good


def _follow(everywhere: _Everywhere, session: Session, *, confirm: bool, undo: bool) -> None:
    """Follow a host's run to its end; it is confirmed when all others can be too."""
    name = session.settings.target.name

    def prove_all(revision: str) -> None:
        prove(session, revision)
        everywhere.tell(name, good=True)
        if not everywhere.proven():
            raise Failure(say("another host failed, so this one is not confirmed"))

    follower = Follower(session, "", prove=prove_all if confirm else None, undo=undo)
    try:
        follower.attend(runs.follow(session.host, variables(session.settings)))
    except Failure:
        everywhere.tell(name, good=False)
        raise
    everywhere.tell(name, good=True)


def _end_of(past: Sequence[PastRun], state: State) -> tuple[Message | Printed, ...]:
    runs_now = Printed(releases.running(state)[:7]) or say("unknown")
    if not past:
        return runs_now, say("none"), say("none")
    return runs_now, Printed(past[0].id), looks.outcome(past[0])


# ── Reading and deciding ──────────────────────────────────────────────────────────────────────────────────────────────


def _look(hosts: Hosts, target: TargetIs, *, ask: bool, ahead: Options | None = None) -> Looked:
    """Read every host, and `ask` its health checks; one that cannot be read has nothing be done anywhere.

    `ahead`: with what a release changes, that is brought with these options.
    """

    def look(session: Session) -> "tuple[tuple[Check, ...], State]":
        if ahead:
            return (), preview.read(session, target, ahead)
        return session.examine(target) if ask else ((), session.read(target))

    looked = _all(hosts, hosts.each(look))
    # One whose fetch failed is refused for that.
    known = {name: state.repository for name, (_, state) in looked.items() if not state.repository.fetch_problem}
    targets = {name: repository.target for name, repository in known.items()}
    if target not in ("running", "head") and len(set(filter(None, targets.values()))) > 1:
        evidence = tuple(say("%s: %s", name, revision[:7]) for name, revision in targets.items())
        fact = say("the hosts are not given the same release, nothing was done")
        raise Failure(fact, evidence=evidence, remedy=remedies.SAME_RELEASE, code=Exit.REFUSED)
    return looked


def _all(hosts: Hosts, found: Mapping[str, _Found | Failure]) -> dict[str, _Found]:
    """Give what was found on those that are reached; Failure where one of these failed."""
    reached = {name: one for name, one in found.items() if name in hosts.sessions}
    every.end(hosts, every.failures(reached))
    return {name: one for name, one in reached.items() if not isinstance(one, Failure)}


def _decide(
    hosts: Hosts,
    verb: str,
    names: tuple[str, ...],
    options: Options,
    looked: Looked,
    batches: Sequence[Sequence[str]],
) -> dict[str, Decision]:
    """Plan for every host, as one run; databases are dumped and migrated by one host each."""
    servers = {name: state.database.server for name, (_, state) in looked.items()}
    first = group.migrators(servers, batches)
    run = runs.new_run_id(max(state.clock for _, state in looked.values()), secrets.token_hex(2))
    decisions = {}
    for name, (checks, state) in looked.items():
        elsewhere = name not in first
        own = tuple(step for step in names if not (elsewhere and step in OF_DATABASE))
        theirs = replace(options, elsewhere=elsewhere)
        decisions[name] = weigh(hosts.sessions[name], verb, own, theirs, state, checks, run)
    return decisions


def _refuse_locked(hosts: Hosts, decisions: Mapping[str, Decision]) -> None:
    """Refuse for all beside a run on one of them: what that is at changes while it is read."""
    failed: dict[str, Failure] = {}
    for name, decision in decisions.items():
        with every.noting(name, failed):
            refuse_locked(hosts.sessions[name], decision)
    if failed:
        raise _locked(failed)


def _refuse(hosts: Hosts, decisions: Mapping[str, Decision]) -> None:
    """Refuse for all what one host would be refused."""
    failed: dict[str, Failure] = {}
    for name, decision in decisions.items():
        with every.noting(name, failed):
            decision.refuse(shown=True)
    for name, failure in failed.items():
        hosts.report.failure(named(name, failure))
    if failed:
        raise Failure(say("nothing was done anywhere: %s refused", tuple(failed)), code=Exit.REFUSED)


def _locked(failed: Mapping[str, Failure]) -> Failure:
    """Say which locks are taken, and by whom."""
    evidence = tuple(say("%s: %s", name, line) for name, failure in failed.items() for line in failure.evidence[:1])
    fact = say("another run holds the lock on %s, nothing was done anywhere", tuple(failed))
    remedy = next(failure.remedy for failure in failed.values())
    return Failure(fact, evidence=evidence, remedy=remedy, code=Exit.LOCKED)


def _bring(
    hosts: Hosts,
    decisions: Mapping[str, Decision],
    batches: Sequence[Sequence[str]],
    options: Options,
    *,
    dry_run: bool,
    commands: bool,
    yes: bool,
    probe: bool = False,
) -> None:
    report = hosts.report
    with nullcontext() if dry_run else _telling(hosts, decisions) as told:
        if told:
            _refuse_locked(hosts, decisions)
        report_findings(hosts, {name: decision.findings for name, decision in decisions.items()})
        _refuse(hosts, decisions)
        _tell_plans(hosts, decisions, commands=commands)
        if not told:
            return
        first = next(iter(decisions.values())).plan
        if any(decision.plan.steps for decision in decisions.values()):
            agree(report, say("Go on with the %s of %s to %s", first.verb, hosts.name, first.revision[:7]), yes=yes)
            told.begin()
        judged: dict[str, Failure] = {}
        for name, decision in decisions.items():
            if not decision.plan.steps:
                with every.noting(name, judged):
                    judge(
                        hosts.sessions[name],
                        decision.checks,
                        decision.state,
                        first.revision,
                        keep_schema=options.keep_schema,
                        told=True,
                    )
        every.end(hosts, judged)
        try:
            _carry_out(hosts, decisions, batches, keep_schema=options.keep_schema, probe=probe)
        finally:
            hosts.tell_skipped()


def _telling(hosts: Hosts, decisions: Mapping[str, Decision]) -> Telling:
    """Have hooks and notices told once of all hosts, as their first one's settings say."""
    first = next(iter(decisions.values()))
    facts = facts_of(hosts.name, first.plan.verb, first.run, releases.running(first.state), first.plan.revision)
    return Telling(hosts.first.settings, hosts.report, tuple(hosts.sessions.values()), facts)


def _tell_plans(hosts: Hosts, decisions: Mapping[str, Decision], *, commands: bool) -> None:
    """Tell what changes, and each plan once, with the hosts that it is for, in the words of the first of these."""
    found = {
        name: changes.sections(hosts.sessions[name].settings, decision.state, decision.plan)
        for name, decision in decisions.items()
        if decision.plan.steps
    }
    hosts.report.changes(changes.together(found))
    alike: dict[object, list[str]] = {}
    for name, decision in decisions.items():
        alike.setdefault(tuple((step.name, step.reason) for step in decision.plan.steps), []).append(name)
    for names in alike.values():
        decision = decisions[names[0]]
        if decision.plan.steps:
            hosts.report.plan(decision.plan, tuple(names), commands=commands)
            if len(names) > 1:
                hosts.report.line(say("     shown as on %s; on the others each in its own containers", names[0]), "dim")
        else:
            hosts.report.nothing_to_do(say("%s of %s", decision.plan.verb, tuple(names)), decision.state)


# ── Carrying out ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _carry_out(
    hosts: Hosts,
    decisions: Mapping[str, Decision],
    batches: Sequence[Sequence[str]],
    *,
    keep_schema: bool = False,
    probe: bool = False,
) -> None:
    """Have every host carry its plan out, and tell how each ended; a Failure where not all are done."""
    works = [
        Work(hosts.sessions[name], decision, _watched(hosts, name))
        for name, decision in decisions.items()
        if decision.plan.steps
    ]
    if not works:
        return
    deliver((work.session, work.decision) for work in works)
    together = Together(hosts, works, batches, keep_schema=keep_schema, probe=probe)
    failed, culprit = together.carry_out()
    # A verb alone proves nothing of the release.
    for work in (one for one in works if one.name not in failed and one.decision.plan.confirm):
        hosts.report.line(work.session.report.done_told(work.name, work.decision.plan.revision), "bold green")
        if work.session.settings.bake.after_update:
            bake.after_update(work.session)
    if not failed:
        _sum_up(hosts, works)
        return
    if every.worst(failure.code for failure in failed.values()) == Exit.LOCKED:
        raise _locked({culprit: failed[culprit]})
    for name in sorted(failed, key=lambda name: name != culprit):
        failure = failed[name]
        if name == culprit or failure.code in ALARMING:
            hosts.report.failure(named(name, failure))
        else:
            now = failure.evidence[-1] if failure.evidence else say("nothing was done")
            hosts.report.error_line(say("✗ %s: %s · %s", name, failure.fact, now))
    good = tuple(work.name for work in works if work.name not in failed)
    first = next(iter(decisions.values())).plan
    fact = say("%s of %s: %s failed", first.verb, hosts.name, culprit or tuple(failed))
    raise Failure(
        say("%s; done on %s alone", fact, good) if good else say("%s, and it is done on no host", fact),
        remedy=remedies.make_equal(hosts.name) if good else None,
        code=every.worst(failure.code for failure in failed.values()),
    )


def _sum_up(hosts: Hosts, works: Sequence[Work]) -> None:
    """Tell once what was brought to all, in the words of the host that had most to do."""
    done = [work for work in works if work.decision.plan.confirm]
    if not done:
        return
    most = max(done, key=lambda work: len(work.decision.plan.steps))
    settings, decision = most.session.settings, most.decision
    for line in summary.of(settings, decision.state, decision.plan, decision.run, operator(), hosts.name):
        hosts.report.line(say("  %s", line))


def _watched(hosts: Hosts, name: str) -> int:
    """For how many seconds a host's release is watched: the canary for longer."""
    own = hosts.sessions[name].settings.confirm.watch
    canary = hosts.group.canary
    return canary.watch if canary and canary.target == name and hosts.group.commit == "each" else own
