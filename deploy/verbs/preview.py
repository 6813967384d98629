"""Read for a dry run what a release changes: with the host's state, and once more where migrations are pending."""

from dataclasses import replace

from deploy import answers, migrations, shell
from deploy.message import say
from deploy.plan import Options
from deploy.settings import Settings
from deploy.shell import Variable
from deploy.state import State, TargetIs, variables
from deploy.state.records import SOURCES
from deploy.verbs.session import Session


def read(session: Session, target: TargetIs, options: Options) -> State:
    """Read the host's state, with what the release changes."""
    state = session.read(target, preview=True)
    if state.preview is None or state.chain is None or options.keep_schema or not state.repository.target:
        return state
    waiting = migrations.pending(session.settings, state.database, state.chain)
    files = {one.file: one.id for one in waiting if one.file}
    if not files:
        return state
    answer = session.host.run(script(session.settings, state.repository.target, tuple(files)))
    with answers.understood(answer.stdout, say("what the migrations say")):
        found = parse(answer.stdout)
    sources = {files[name]: source for name, source in found.items()}
    return replace(state, preview=replace(state.preview, sources=sources))


def script(settings: Settings, revision: str, sources: tuple[str, ...]) -> str:
    """Build the script that reads files of a commit."""
    asked: dict[str, Variable] = {"revision": revision, "sources": sources, "record_fields": SOURCES}
    return shell.script("redact.sh", "sources.sh", **variables(settings), **asked)


def parse(answer: str) -> dict[str, str]:
    """Put the lines of each file together, by its path."""
    found = dict[str, str]()
    for _, name, line in shell.records(answer):
        found[name] = f"{found.get(name, '')}{line}\n"
    return found
