"""Change production: read, decide, carry out, prove."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from deploy import (
    building,
    builds,
    changes,
    elsewhere,
    inside,
    instances,
    maintenance,
    preflight,
    programs,
    releases,
    remedies,
    runs,
    shell,
    steps,
    summary,
    words,
)
from deploy.errors import Exit, Failure
from deploy.message import Message, Printed, say
from deploy.plan import Finding, Options, Plan, refuse
from deploy.state import State, TargetIs, asking, kept, variables
from deploy.verbs import preview
from deploy.verbs.follow import Follower, Journal, new_run_id, operator
from deploy.verbs.session import Session
from deploy.verbs.telling import Telling, facts_of
from deploy.verbs.watching import watch

if TYPE_CHECKING:
    from deploy.health import Check
    from deploy.probe import Probe
    from deploy.settings import Check as Wanted
    from deploy.settings import Settings


@dataclass(frozen=True)
class Decision:
    """What was read, how it was judged, and what is to be done."""

    state: State
    findings: tuple[Finding, ...]
    needs: tuple[str, ...]
    plan: Plan
    run: str
    # What is built on the laptop for it.
    made: tuple[builds.Build, ...] = ()
    # What the health checks answered meanwhile, where they were asked.
    checks: "tuple[Check, ...]" = ()

    def refuse(self, *, shown: bool = False) -> None:
        refuse(self.findings, self.needs, shown=shown)


def decide(
    session: Session,
    verb: str,
    names: tuple[str, ...],
    target: TargetIs,
    options: Options,
    *,
    ask: bool = False,
    look_ahead: bool = False,
) -> Decision:
    """Read the state, `ask` the health checks too, and plan the named steps; a refused plan has no steps.

    To `look_ahead` is to read what the release changes, too.
    """
    if look_ahead:
        return weigh(session, verb, names, options, preview.read(session, target, options))
    checks, state = session.examine(target) if ask else ((), session.read(target))
    return weigh(session, verb, names, options, state, checks)


def weigh(
    session: Session,
    verb: str,
    names: tuple[str, ...],
    options: Options,
    state: State,
    checks: "tuple[Check, ...]" = (),
    run: str = "",
) -> Decision:
    """Judge what was read, and plan the named steps as that `run`, by default one of its own."""
    settings = session.settings
    findings = preflight.judge(settings, state, options)
    needs = steps.needs(names) if verb in names else tuple(finding.check for finding in findings)
    if state.env == "unreadable":
        needs = (*needs, "env")
    refused = any(finding.level == "refusal" and finding.check in needs for finding in findings)
    run = "" if refused else run or new_run_id(state)
    plan = (
        Plan(verb, state.repository.target, ()) if refused else steps.plan(verb, names, settings, state, options, run)
    )
    made = builds.made_here(settings, state, options) if any(step.name == "ship" for step in plan.steps) else ()
    for one in made:
        building.check(settings, one, state.repository.target)
    return Decision(state, findings, needs, plan, run, made, checks)


def preflight_(session: Session, options: Options) -> None:
    """Report every finding; Failure where an update would be refused."""
    decision = decide(session, "preflight", (), "remote", options)
    session.report.findings(decision.findings)
    decision.refuse(shown=True)


def named_files(session: Session, given: str) -> tuple[str, ...]:
    """The files of the settings that are named; Failure where there is no such one."""
    known = tuple(elsewhere.installed(session.settings))
    names = tuple(filter(None, given.split(",")))
    for name in names:
        if name not in known:
            remedy = remedies.choose_file(known)
            fact = say("the settings have no file %s that has its place elsewhere", name)
            raise Failure(fact, remedy=remedy, code=Exit.USAGE)
    return names


def run_step(session: Session, verb: str, options: Options) -> None:
    """Carry out one verb alone: the same road with a plan of its step, and of what has to go before it."""
    names = (*steps.BEFORE.get(verb, ()), verb, *steps.AFTER.get(verb, ()))
    decision = decide(session, verb, names, steps.STEPS[verb].TARGET, options)
    refuse_locked(session, decision)
    decision.refuse()
    if not decision.plan.steps:
        session.report.nothing_to_do(Printed(verb), decision.state)
        return
    with telling(session, decision) as told:
        told.begin()
        deliver([(session, decision)])
        carry_out(session, decision.plan, decision.state, decision.run)


def telling(session: Session, decision: Decision) -> Telling:
    """Have hooks and notices told of what was decided, and first of a release that the host has kept alone."""
    plan, name = decision.plan, session.settings.target.name
    for run in filter(releases.kept_alone, decision.state.history[-1:]):
        past = facts_of(name, run.verb, run.id, run.was, run.revision) | {"operator": run.operator}
        Telling(session.settings, session.report, (session,), past).kept()
    facts = facts_of(name, plan.verb, decision.run, releases.running(decision.state), plan.revision)
    return Telling(session.settings, session.report, (session,), facts)


def deliver(works: Iterable[tuple[Session, Decision]]) -> None:
    """Build what is built on the laptop, once for all, and have each host keep it."""
    tars: dict[object, bytes] = {}
    for session, decision in works:
        for one in decision.made:
            same = building.clone_of(session.settings), one.name, one.built, one.sources.target
            if same not in tars:
                session.report.line(say("building %s from %s", one.name, decision.plan.revision[:7]), "dim")
                tars[same] = building.made(session.settings, one, decision.plan.revision)
            building.deliver(session.host, session.settings, one, tars[same])


def carry_out(
    session: Session,
    plan: Plan,
    state: State,
    run: str,
    *,
    keep_schema: bool = False,
    probing: "Probe | None" = None,
) -> None:
    """Hand the plan to the host, follow its journal to the end, and raise how it ended unless it is done."""
    proof = partial(prove_and_watch, session, run=run, keep_schema=keep_schema, before=state)
    names = [step.name for step in plan.steps]

    def hear(event: runs.Event) -> None:
        # Users wait for the look that comes after it, so the host gets ready for that.
        if plan.confirm and (event.kind, event.fields[:1]) == ("begin", (names[-1],)):
            session.begin_reading("serving", run=run)

    follower = Follower(session, run, prove=proof, undoable=plan.undoable, probing=probing, hear=hear, steps=names)
    follower.follow(hand_over(session, plan, state, run))


def hand_over(
    session: Session, plan: Plan, state: State, run: str, holds: Mapping[str, str] = MappingProxyType({})
) -> Journal:
    """Start the plan on the host; `holds` are the points where it waits for other hosts, as runs.files_of has them."""
    settings = session.settings
    shared = variables(settings)
    record = state.app.record if state.app else None
    about = {
        "verb": plan.verb,
        "target": settings.target.name,
        "operator": operator(),
        "was": record.revision if record and record.complete else "",
        "revision": plan.revision,
        "unattended": settings.confirm.unattended,
        "keep": str(settings.history.runs),
        "keep_mib": str(settings.history.max_mib),
    }
    guard = shell.script("containers.sh", asking(settings), "schema.sh", "guard.sh", **shared) + 'evidence "$1"\n'
    files = runs.files_of(
        plan.steps,
        about,
        guard,
        state.guard,
        shared,
        confirm=plan.confirm,
        holds=holds,
        asides=steps.asides(settings, state, plan, run) if plan.undoable else {},
    )
    return runs.start(session.host, shared, run, files)


@contextmanager
def watched(session: Session) -> "Iterator[Probe]":
    """Ask URLs of production again and again, and the database who waits; in the end tell what that met."""
    from deploy.probe import Probe, wanted

    report, often = session.report, session.settings.probe.per_second
    asks = {check.url + check.paths[0]: partial(_is_good, session, check) for check in wanted(session.settings)}
    report.line(say("probe: asking %s %s times a second", tuple(asks), often), "dim")
    probing = Probe(asks, often, partial(_lock_waits, session))
    try:
        yield probing
    finally:
        met = probing.end()
        for url, one in probing.each().items() if len(asks) > 1 else ():
            report.line(say("probe of %s: %s", url, one.told), "dim")
        report.line(say("probe: %s", met.told))


def _is_good(session: Session, check: "Wanted") -> bool:
    from deploy import health

    # Over the connection that there is now: a lost one is opened again.
    (answer,) = health.check(session.http(), (check,), session.settings.health.request_timeout)
    return answer.healthy


def _lock_waits(session: Session) -> Iterator[float]:
    """Have the database say again and again for how long somebody waits for a lock, in seconds."""
    begin = shell.script(
        "containers.sh", asking(session.settings), "waiting.sh", **inside.variables(), **variables(session.settings)
    )
    with session.host.stream(begin + "exec {stop}<> <(:)\nwatch_waits 0.2\n") as lines:
        for line in lines:
            # Whatever else comes is no wait.
            with suppress(ValueError):
                seconds = kept.number(line)
                yield seconds


def attach(session: Session, *, confirm: bool, undo: bool) -> None:
    """Follow the run in progress, or tell how the last one ended; prove and confirm it, or have it undone."""
    if confirm and undo:
        raise Failure(say("--confirm and --undo exclude each other"), code=Exit.USAGE)
    follower = Follower(session, "", prove=partial(prove, session) if confirm else None, undo=undo)
    follower.follow(runs.follow(session.host, variables(session.settings)))
    if facts := follower.kept:
        Telling(session.settings, session.report, (session,), facts).kept()


def refuse_locked(session: Session, decision: Decision) -> None:
    """Refuse beside a run that is not over: what it has brought so far may still be undone."""
    if decision.state.lock_held:
        told = next(finding.evidence for finding in decision.findings if finding.check == "lock")
        raise Failure(
            say("another run holds the lock, nothing was done"),
            evidence=(told,),
            remedy=remedies.follow_run(session.settings.target.name),
            code=Exit.LOCKED,
        )


def prove(
    session: Session, revision: str, *, keep_schema: bool = False, before: State | None = None, run: str = ""
) -> None:
    """Prove that production runs the revision, where there is one, and is healthy, or raise what shows otherwise.

    What ran `before` has to run now; `run` is the one that is to be confirmed, where it is known.
    """
    judge(session, *session.examine("serving", run=run), revision, keep_schema=keep_schema, before=before)


def prove_and_watch(session: Session, revision: str, *, run: str, keep_schema: bool, before: State) -> None:
    """Prove that production runs the revision, and watch it for as long as the settings say."""
    prove(session, revision, keep_schema=keep_schema, before=before, run=run)
    if session.settings.confirm.watch:
        watch(session, session.settings.confirm.watch, partial(renew, session, run))


def renew(session: Session, run: str) -> None:
    """Have the host wait for the confirmation anew; where it cannot be told it decides by itself in the end."""
    with suppress(Failure):
        runs.go(session.host, variables(session.settings), run)


def judge(
    session: Session,
    checks: "tuple[Check, ...]",
    state: State,
    revision: str,
    *,
    keep_schema: bool = False,
    before: State | None = None,
    told: bool = False,
) -> None:
    """Prove it by what was seen; where that is ill, wait for health and look again. Good health may be told already."""
    settings = session.settings
    if not all(check.healthy for check in checks):
        checks, state, told = session.recover(), session.read("running"), False
    if not told:
        session.report.health(checks)
    wrong = (*_wrong(settings, state, revision, before), *(() if keep_schema else _pending(state))) if revision else ()
    ill: tuple[Message, ...] = tuple(
        say("%s: %s %s", check.name, check.url, check.problem) for check in checks if check.problem
    )
    if not wrong and not ill:
        left = (programs.stale(one.settings, one.state, left=True) for one in instances.each(settings, state))
        for name in chain.from_iterable(left):
            session.report.line(say("! %s runs on with the old code: nothing restarts it", name), "yellow")
        session.report.stale(builds.stale(state))
        if page := maintenance.told(settings, state):
            session.report.line(say("! maintenance %s", page), "yellow")
        return
    why = preflight.last_error(settings, state) if ill else ""
    raise Failure(
        say("health: %s", (ill or wrong)[0]),
        evidence=(
            *(ill + wrong)[1:],
            *((say("last error in the logs: %s", why),) if why else ()),
        ),
        remedy=remedies.cure(settings.target.name),
    )


def _wrong(settings: "Settings", state: State, revision: str, before: State | None) -> tuple[Message, ...]:
    """What shows that not the revision serves, or not everywhere, but something else."""
    there = {one.beside: one.state for one in instances.each(settings, before)} if before else {}
    wrong = list[Message]()
    for one in instances.each(settings, state):
        found = _wrong_in(one.settings, one.state, revision, there.get(one.beside))
        wrong += [say("%s: %s", one.beside, what) for what in found] if one.beside else found
    now = {other.name for other in state.others}
    return (*wrong, *(say("%s does not run any more", name) for name in there if name and name not in now))


def _wrong_in(settings: "Settings", state: State, revision: str, before: State | None) -> tuple[Message, ...]:
    app = state.app
    if app is None:
        return (say("the app container cannot be looked into: %s", state.app_problem or say("it is not running")),)
    wrong = []
    if app.record is None or not app.record.complete or app.record.revision != revision:
        wrong.append(say("the container does not run %s", revision[:7]))
    if app.drift:
        wrong.append(say("changed since the copy: %s", words.names(app.drift)))
    if older := programs.stale(settings, state):
        wrong.append(say("older than the code: %s", words.names(older)))
    there = {one.name for one in state.programs}
    wanted = [one.name for one in before.programs if one.server or not before.serves] if before else []
    if missing := tuple(name for name in wanted if name not in there):
        wrong.append(say("not running any more: %s", words.names(missing)))
    elif state.serves and not state.served:
        wrong.append(say("no %s runs", settings.app.server))
    if before and state.containers["app"].restarts > before.containers["app"].restarts:
        wrong.append(say("it ended by itself since, and was started again"))
    return tuple(wrong)


def _pending(state: State) -> tuple[Message, ...]:
    if state.chain is None or state.database.problem or not state.chain.pending(state.database.revisions):
        return ()
    return (say("migrations are pending"),)


def hot_update(
    session: Session, options: Options, *, dry_run: bool, commands: bool, yes: bool, probe: bool = False
) -> None:
    """Bring production to the remote branch and prove it, or say what would be done."""
    demand_dry_run(commands, dry_run)
    how = {"dry_run": dry_run, "commands": commands, "yes": yes, "probe": probe}
    bring(session, "hot-update", steps.HOT_UPDATE, "remote", options, **how)


def demand_dry_run(commands: bool, dry_run: bool) -> None:
    """Refuse to show commands beside a run, where they would hide what it tells."""
    if commands and not dry_run:
        raise Failure(say("--commands goes with --dry-run alone"), code=Exit.USAGE)


def rollback(session: Session, revision: str, *, discard: bool, dry_run: bool, commands: bool, yes: bool) -> None:
    """Bring production back to a release, by default the last confirmed one before the one that runs."""
    demand_dry_run(commands, dry_run)
    state = session.read("running")
    target = revision or releases.before(state)
    if not target:
        raise Failure(
            say("no confirmed release before %s is known", releases.running(state)[:7] or say("this one")),
            remedy=remedies.list_releases(session.settings.target.name),
            code=Exit.REFUSED,
        )
    options = Options(keep_schema=True, back=True, discard=discard)
    how = {"dry_run": dry_run, "commands": commands, "yes": yes}
    bring(session, "rollback", steps.ROLLBACK, f"commit:{target}", options, **how)


def bring(
    session: Session,
    verb: str,
    names: tuple[str, ...],
    target: TargetIs,
    options: Options,
    *,
    dry_run: bool,
    commands: bool,
    yes: bool,
    probe: bool = False,
) -> None:
    """Bring production to a release and prove it, or say what would be done; `probe` a URL meanwhile."""
    if not dry_run:
        # For the script that starts the run, once it is agreed to.
        session.host.prepare(1)
    decision = decide(session, verb, names, target, options, ask=not dry_run, look_ahead=dry_run)
    settings, report = session.settings, session.report
    if verb == "rollback" and not decision.state.repository.target:
        name, meanings = target.removeprefix("commit:"), decision.state.repository.ambiguous
        if meanings:
            fact = say("%s may be several commits", name)
            raise Failure(fact, evidence=meanings, remedy=remedies.GIVE_ID, code=Exit.REFUSED)
        remedy = remedies.list_releases(settings.target.name)
        raise Failure(say("the clone has no commit %s", name), remedy=remedy, code=Exit.REFUSED)
    with nullcontext() if dry_run else telling(session, decision) as told:
        if told:
            # Before anything else is judged: what another run is at changes while it is read.
            refuse_locked(session, decision)
        report.findings([finding for finding in decision.findings if dry_run or finding.level != "ok"])
        decision.refuse(shown=True)
        plan = decision.plan
        if not plan.steps:
            report.nothing_to_do(say("%s of %s", verb, settings.target.name), decision.state)
        else:
            report.changes(changes.sections(settings, decision.state, plan))
            report.plan(plan, commands=commands)
        if not told:
            return
        if not plan.steps:
            judge(session, decision.checks, decision.state, plan.revision, keep_schema=options.keep_schema, told=True)
            return
        session.agree(say("Go on with the %s of %s to %s", verb, settings.target.name, plan.revision[:7]), yes=yes)
        told.begin()
        deliver([(session, decision)])
        with watched(session) if probe else nullcontext() as probing:
            carry_out(session, plan, decision.state, decision.run, keep_schema=options.keep_schema, probing=probing)
        name = settings.target.name
        report.done(name, plan.revision, summary.of(settings, decision.state, plan, decision.run, operator(), name))
    if settings.bake.after_update:
        # It makes use of us.
        from deploy.verbs import bake

        bake.after_update(session)
