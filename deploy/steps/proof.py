"""Prove the new code, in the app container and beside the running release, before anything is changed."""

from dataclasses import replace

from deploy import instances, migrations, shell
from deploy.message import Message, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, asking
from deploy.steps import backup, commit, copy, migrate, restore

NEEDS: tuple[str, ...] = (*copy.NEEDS, *migrate.NEEDS)
TARGET: TargetIs = "remote"


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    if any(copy.reason(one.settings, one.state, options) for one in instances.each(settings, state)):
        return say("the code changes")
    return say("the database changes") if migrate.reason(settings, state, options) else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    proof = settings.proof
    upgrades = state.chain is not None and bool(migrate.reason(settings, state, options)) and not options.elsewhere
    start = migrations.stamp(settings, state.database) or ",".join(state.database.revisions)
    script = shell.script(
        "containers.sh",
        asking(settings),
        "schema.sh",
        "flask.sh",
        "trees.sh",
        "commit.sh",
        "steps/proof.sh",
        **commit.variables(settings, state, run, state.repository.target, proving=True),
        **migrate.flask_variables(settings, state),
        proof_command=proof.command,
        proof_environment=tuple(f"{name}={value}" for name, value in proof.environment.items()),
        proof_timeout=proof.timeout,
        pending=(f"{start}:head" if start else "head") if upgrades else "",
        writable=settings.proof_writes,
        killed_before=state.kills,
    )
    dumped = bool(backup.reason(settings, state, options))
    writing = say("it may write to the database")
    if not dumped:
        writing = say("%s, without a dump before it", writing)
    summary = (
        say("in a tree of %s in %s: %s", state.repository.target[:7], settings.app.container, proof.command),
        *((writing,) if settings.proof_writes else ()),
    )
    why = reason(settings, state, options) or ASKED_FOR
    made = Step("proof", why, script, proof.timeout + 300, summary, harmless=True, beside=True)
    if not settings.proof_writes:
        return made
    undo = restore.undo(settings, state, options, run)
    timeout = made.timeout + (backup.TIMEOUT if restore.undoes(settings, state, options) else 0)
    return replace(made, harmless=False, beside=False, undo=undo, timeout=timeout)
