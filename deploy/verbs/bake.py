"""Have recreated containers keep the release: bake it into the images that they are made from, or take that back."""

from deploy import images, instances, preflight
from deploy.errors import Failure
from deploy.message import say
from deploy.plan import Options, refuse
from deploy.preflight.images import bakable
from deploy.state import State
from deploy.steps import bake as baking
from deploy.verbs.follow import new_run_id
from deploy.verbs.session import Session
from deploy.verbs.update import carry_out


def bake(session: Session) -> None:
    """Make images of the release that runs, and give them the names that containers are made by."""
    state = session.read(baking.TARGET)
    if _is_mounted(session, state):
        return
    findings = (*preflight.judge(session.settings, state, Options()), *bakable(session.settings, state))
    refuse(findings, (*baking.NEEDS, *(("env",) if state.env == "unreadable" else ())))
    run = new_run_id(state)
    plan = baking.plan(session.settings, state, run)
    if not plan.steps:
        session.report.nothing_to_do(say("bake"), state)
        return
    carry_out(session, plan, state, run)
    session.report.baked(session.settings.target.name, plan.revision)


def after_update(session: Session) -> None:
    """Bake what was just confirmed; that it could not be is told, and makes the update no failure."""
    try:
        bake(session)
    except Failure as failure:
        session.report.line(say("! not baked: %s", failure.fact), "yellow")
        for line in failure.evidence:
            session.report.line(say("  %s", line), "yellow")
        if failure.remedy:
            session.report.line(say("  → %s", failure.remedy), "yellow")


def undo(session: Session) -> None:
    """Give the names of the baked images back to those of before."""
    state = session.read("running")
    if _is_mounted(session, state):
        return
    refuse(preflight.judge(session.settings, state, Options()), baking.UNDO_NEEDS)
    carry_out(session, baking.undo(session.settings, state), state, new_run_id(state))


def _is_mounted(session: Session, state: State) -> bool:
    """Say so where nothing that runs the code has it from an image."""
    source = images.mounted_from(next(instances.each(session.settings, state)))
    if not source or images.bakings(session.settings, state):
        return False
    session.report.line(say("bake: nothing to do · a recreated container has the code from %s", source), "green")
    return True
