"""The repository on the host: the clone, its remote, what would be lost in it, and the tree of the target."""

from collections.abc import Iterator

from deploy import remedies
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names, plural


def clone(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository = state.repository
    path = settings.target.path
    if repository.problem:
        if repository.foreign:
            evidence = f"{path} or its .git belongs to somebody else than {state.user}"
            remedy = remedies.own_clone(state.user, path)
        else:
            evidence, remedy = f"{path} is no git clone: {repository.problem}", remedies.SET_PATH
        yield Finding("refusal", "repository", evidence, remedy)
    elif repository.index_lock:
        remedy = remedies.remove_index_lock(repository.index_lock, settings.target.sudo)
        yield Finding("refusal", "repository", "another git is at work in the clone, or one was killed there", remedy)
    else:
        yield Finding("ok", "repository", f"{path}, on {repository.branch or 'no branch'} at {repository.head[:7]}")


def remote(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository, git = state.repository, settings.git
    if repository.problem:
        return
    remotes = tuple(name for name, _ in repository.remotes)
    if git.remote not in remotes:
        evidence = f"no remote {git.remote}; there is {', '.join(remotes) or 'none'}"
        yield Finding("refusal", "remote", evidence, remedies.SET_REMOTE)
    elif repository.lacks_branch:
        evidence = f"{git.remote} has no branch {git.branch}; known are {', '.join(repository.branches) or 'none'}"
        yield Finding("refusal", "remote", evidence, remedies.SET_BRANCH)
    elif repository.fetch_problem:
        yield Finding(
            "refusal",
            "remote",
            f"git fetch {git.remote} failed: {repository.fetch_problem}",
            remedies.see_fetch(settings.target.path, git.remote),
        )
    elif not repository.target:
        evidence = f"no {git.remote}/{git.branch}; known are {', '.join(repository.branches) or 'none'}"
        yield Finding("refusal", "remote", evidence, remedies.SET_BRANCH)
    else:
        if not repository.fetched:
            yield Finding(
                "ok", "remote", f"going to {repository.target[:7]}, not to the head of {git.remote}/{git.branch}"
            )
            return
        count = len(repository.incoming)
        new = plural(count, "new commit") if count else "nothing new"
        yield Finding("ok", "remote", f"{git.remote}/{git.branch} at {repository.target[:7]}, {new}")


def work_tree(_: Settings, state: State, options: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.problem:
        return
    if not (lost := repository.uncommitted + tuple(f"?? {name}" for name in repository.endangered)):
        yield Finding("ok", "work tree", "no uncommitted changes")
        return
    evidence = f"{plural(len(lost), 'uncommitted change')}: {names(lost)}"
    yield _discardable("work tree", evidence, "commit and push", options)


def commits(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.problem:
        return
    where = f"on {repository.branch}" if repository.branch else "on a detached HEAD"
    if repository.unpushed:
        lacking = names(repository.unpushed)
        count = plural(len(repository.unpushed), "commit")
        evidence = f"{count} {where} that {settings.git.remote} does not have: {lacking}"
        yield _discardable("commits", evidence, "push", options)
    elif repository.branch != settings.git.branch:
        yield Finding("warning", "commits", f"the clone is {where}", remedies.moved_by_sync(settings.git.branch))
    else:
        yield Finding("ok", "commits", f"{settings.git.remote} has them all")


def rewritten(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository, branch = state.repository, f"{settings.git.remote}/{settings.git.branch}"
    runs = f"production runs {state.running[:7]}, which {branch} does not have"
    if repository.rewritten:
        was, now, count = repository.rewritten
        evidence = f"{branch} was rewritten from {was[:7]} to {now[:7]}: {plural(count, 'commit')} gone from it"
        told = f"{evidence}; {runs}" if state.running_gone else evidence
        yield Finding("warning", "branch", told, remedies.go_back(was[:7], settings.target.name))
    elif state.running_gone:
        yield Finding("warning", "branch", runs, remedies.go_back(state.running[:7], settings.target.name))


def target_tree(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.tracks_protected:
        evidence = (
            f"{repository.target[:7]} tracks what must never be overwritten: {names(repository.tracks_protected)}"
        )
        yield Finding("refusal", "protected paths", evidence, remedies.UNTRACK)
    if repository.filters:
        evidence = f"{names(repository.filters)} names git filters (Git LFS?): their files are not what git stores"
        yield Finding("refusal", "filters", evidence, remedies.STANDARD_DEPLOYMENT)
    if repository.line_endings:
        evidence = f"{names(repository.line_endings)} has CRLF in git, and .gitattributes calls it text"
        yield Finding("refusal", "line endings", evidence, remedies.RENORMALIZE)
    for name, commit, getting in repository.submodules:
        evidence = f"the clone does not have {commit[:7]} of the submodule {name}"
        yield Finding("refusal", "submodules", evidence, remedies.get_submodule(getting))


def _discardable(check: str, evidence: str, keep: str, options: Options) -> Finding:
    if options.discard:
        return Finding("warning", check, evidence, remedies.SAVED_FIRST)
    return Finding("refusal", check, evidence, remedies.keep_or_discard(keep))
