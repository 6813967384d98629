"""Read for a dry run what a release changes: with the host's state, and once more where migrations are pending."""

from dataclasses import replace

from deploy import answers, migrations, shell
from deploy.message import say
from deploy.plan import Options
from deploy.state import State, TargetIs, variables
from deploy.verbs.session import Session

RECORDS = ("source file text*",)


def read(session: Session, target: TargetIs, options: Options) -> State:
    """Read the host's state, with what the release changes."""
    state = session.read(target, preview=True)
    if state.preview is None or state.chain is None or options.keep_schema or not state.repository.target:
        return state
    waiting = migrations.pending(session.settings, state.database, state.chain)
    files = {one.file: one.id for one in waiting if one.file}
    if not files:
        return state
    asked = {"revision": state.repository.target, "sources": tuple(files), "record_fields": RECORDS}
    answer = session.host.run(shell.script("redact.sh", "sources.sh", **variables(session.settings), **asked))
    with answers.understood(answer.stdout, say("what the migrations say")):
        found = {files[name]: text for _, name, text in shell.records(answer.stdout)}
    return replace(state, preview=replace(state.preview, sources=found))
