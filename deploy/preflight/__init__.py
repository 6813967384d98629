"""Judge the state: every finding, ok, warning or refusal, each with its evidence and what to do.

A check is a function that yields its findings, in the module of its subject: the `host`, the `repository` on it, the
`services` of Compose, the `database`, what is `running` in the app container, the `suitability` of the target,
the `maintenance` page.
"""

from collections.abc import Iterator
from dataclasses import replace

from deploy import instances, remedies
from deploy.message import say
from deploy.plan import Finding, Options
from deploy.preflight import database, host, maintenance, repository, running, services, suitability
from deploy.preflight.database import dumped
from deploy.preflight.running import drift
from deploy.preflight.services import cramped, last_error
from deploy.preflight.suitability import overridden, unsuitable
from deploy.settings import Settings
from deploy.state import State

__all__ = ["cramped", "drift", "dumped", "judge", "last_error", "overridden", "unsuitable"]

# In the order in which their findings are told.
CHECKS = (
    host.tools,
    host.engine,
    repository.clone,
    repository.remote,
    repository.work_tree,
    repository.commits,
    repository.rewritten,
    repository.target_tree,
    host.env,
    host.disk,
    services.containers,
    services.others,
    services.elsewhere,
    services.app_container,
    services.capabilities,
    services.memory,
    services.mounts,
    database.connection,
    database.schema,
    database.indexes,
    database.sessions,
    database.backup,
    services.health,
    suitability.suitable,
    suitability.files,
    suitability.built,
    running.release,
    running.programs_left,
    maintenance.page,
    host.lock,
    host.records,
)
# Those that look at a container, which every one that runs the code is asked.
OF_EACH = (
    services.app_container,
    services.capabilities,
    services.memory,
    services.mounts,
    services.health,
    running.release,
    running.programs_left,
)


def judge(settings: Settings, state: State, options: Options) -> tuple[Finding, ...]:
    """Look at everything and report every finding, good ones too."""
    own, *others = instances.each(settings, state)
    found = (
        _named(one, finding)
        for check in CHECKS
        for one in (own, *(others if check in OF_EACH else ()))
        for finding in check(one.settings, one.state, options)
    )
    return (*(finding for finding in found if finding.check not in state.unread), *_unread(state))


def _named(one: instances.Instance, finding: Finding) -> Finding:
    return replace(finding, evidence=say("%s: %s", one.beside, finding.evidence)) if one.beside else finding


def _unread(state: State) -> Iterator[Finding]:
    """What could not be read is never a good sign."""
    for check, why in state.unread.items():
        yield Finding("refusal", check, say("this could not be read: %s", why), remedies.MEND_READING)
