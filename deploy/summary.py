"""What an update ends with: a few lines that tell a colleague, or a ticket, what was done and how to go back."""

from collections.abc import Sequence

from deploy import migrations, releases, remedies
from deploy.message import Message, say
from deploy.plan import Plan
from deploy.settings import Settings
from deploy.state import State

# As many commits and migrations are named; of the others it is told how many they are.
NAMED = 10


def of(settings: Settings, before: State, plan: Plan, run: str, who: str, target: str) -> tuple[Message, ...]:
    """Tell of a plan that was carried out what it brought, by the state before it; `target` may be a group's name."""
    was = releases.running(before)
    names = {step.name for step in plan.steps}
    lines = [say("run %s by %s", run, who)]
    if names & {"sync", "mount"}:
        lines += _named(before.repository.incoming)
    if "migrate" in names and before.chain:
        waiting = migrations.pending(settings, before.database, before.chain)
        lines += _named([say("migrated: %s", one.title) for one in waiting])
    if was and was != plan.revision and plan.verb == "hot-update":
        lines.append(say("before: %s; %s", was[:7], remedies.go_back(was[:12], target)))
    return tuple(lines)


def _named(lines: Sequence[Message]) -> list[Message]:
    more = [say("and %s more", len(lines) - NAMED)] if len(lines) > NAMED else []
    return [*lines[:NAMED], *more]
