"""The repository on the host: the clone, its remote, what would be lost in it, and the tree of the target."""

from collections.abc import Iterator

from deploy import remedies
from deploy.message import Message, Value, counted, say
from deploy.plan import Finding, Options
from deploy.settings import Settings, Target
from deploy.state import Repository, State
from deploy.words import names


def clone(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository = state.repository
    path = settings.target.path
    if repository.problem:
        if repository.foreign:
            evidence = say("%s or its .git belongs to somebody else than %s", path, state.user)
            remedy = remedies.own_clone(state.user, path)
        else:
            evidence, remedy = say("%s is no git clone: %s", path, repository.problem), remedies.SET_PATH
        yield Finding("refusal", "repository", evidence, remedy)
    elif repository.index_lock:
        remedy = remedies.remove_index_lock(repository.index_lock, settings.target.sudo)
        yield Finding(
            "refusal", "repository", say("another git is at work in the clone, or one was killed there"), remedy
        )
    else:
        yield Finding(
            "ok", "repository", say("%s, on %s at %s", path, repository.branch or say("no branch"), repository.head[:7])
        )


def remote(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository, git = state.repository, settings.git
    if repository.problem:
        return
    remotes = tuple(name for name, _ in repository.remotes)
    if git.remote not in remotes:
        evidence = say("no remote %s; there is %s", git.remote, remotes or say("none"))
        yield Finding("refusal", "remote", evidence, remedies.SET_REMOTE)
    elif repository.lacks_branch:
        evidence = say("%s has no branch %s; known are %s", git.remote, git.branch, _known(repository))
        yield Finding("refusal", "remote", evidence, remedies.SET_BRANCH)
    elif repository.fetch_problem and git.via == "laptop":
        evidence = say("nothing came from the laptop: %s", repository.fetch_problem)
        yield Finding("refusal", "remote", evidence, repository.fetch_remedy)
    elif repository.fetch_problem and git.proxy and settings.env:
        evidence = say(
            "git fetch %s, by the proxies of %s, failed: %s", git.remote, settings.env.file, repository.fetch_problem
        )
        yield Finding("refusal", "remote", evidence, remedies.see_proxy(settings.env.file))
    elif repository.fetch_problem:
        yield Finding(
            "refusal",
            "remote",
            say("git fetch %s failed: %s", git.remote, repository.fetch_problem),
            remedies.see_fetch(settings.target.path, git.remote),
        )
    elif not repository.target:
        evidence = say("no %s/%s; known are %s", git.remote, git.branch, _known(repository))
        yield Finding("refusal", "remote", evidence, remedies.SET_BRANCH)
    else:
        if not repository.fetched:
            yield Finding(
                "ok",
                "remote",
                say("going to %s, not to the head of %s/%s", repository.target[:7], git.remote, git.branch),
            )
            return
        count = len(repository.incoming)
        new = counted(count, "%s new commit", "%s new commits") if count else say("nothing new")
        yield Finding("ok", "remote", say("%s/%s at %s, %s", git.remote, git.branch, repository.target[:7], new))


def work_tree(_: Settings, state: State, options: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.problem:
        return
    if not (lost := repository.uncommitted + tuple(f"?? {name}" for name in repository.endangered)):
        yield Finding("ok", "work tree", say("no uncommitted changes"))
        return
    count = counted(len(lost), "%s uncommitted change", "%s uncommitted changes")
    yield _discardable("work tree", say("%s: %s", count, names(lost)), remedies.COMMIT_OR_DISCARD, options)


def commits(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.problem:
        return
    where = say("on %s", repository.branch) if repository.branch else say("on a detached HEAD")
    if repository.unpushed:
        lacking = names(repository.unpushed)
        count = counted(len(repository.unpushed), "%s commit", "%s commits")
        evidence = say("%s %s that %s does not have: %s", count, where, settings.git.remote, lacking)
        yield _discardable("commits", evidence, remedies.PUSH_OR_DISCARD, options)
    elif repository.branch != settings.git.branch:
        yield Finding("warning", "commits", say("the clone is %s", where), remedies.moved_by_sync(settings.git.branch))
    else:
        yield Finding("ok", "commits", say("%s has them all", settings.git.remote))


def rewritten(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository, branch = state.repository, f"{settings.git.remote}/{settings.git.branch}"
    runs = say("production runs %s, which %s does not have", state.running[:7], branch)
    if repository.rewritten:
        was, now, count = repository.rewritten
        evidence = say(
            "%s was rewritten from %s to %s: %s gone from it",
            branch,
            was[:7],
            now[:7],
            counted(count, "%s commit", "%s commits"),
        )
        told = say("%s; %s", evidence, runs) if state.running_gone else evidence
        yield Finding("warning", "branch", told, remedies.go_back(was[:7], settings.target.name))
    elif state.running_gone:
        yield Finding("warning", "branch", runs, remedies.go_back(state.running[:7], settings.target.name))


def target_tree(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    repository = state.repository
    if repository.tracks_protected:
        evidence = say(
            "%s tracks what must never be overwritten: %s", repository.target[:7], names(repository.tracks_protected)
        )
        yield Finding("refusal", "protected paths", evidence, remedies.UNTRACK)
    if repository.filters:
        evidence = say(
            "%s names git filters (Git LFS?): their files are not what git stores", names(repository.filters)
        )
        yield Finding("refusal", "filters", evidence, remedies.STANDARD_DEPLOYMENT)
    if repository.line_endings:
        evidence = say("%s has CRLF in git, and .gitattributes calls it text", names(repository.line_endings))
        yield Finding("refusal", "line endings", evidence, remedies.RENORMALIZE)
    for name, commit, getting in repository.submodules:
        evidence = say("the clone does not have %s of the submodule %s", commit[:7], name)
        remedy = remedies.get_submodule(getting)
        if settings.git.via == "laptop":
            evidence = say("%s; git.via: laptop brings none of a submodule's commits", evidence)
            remedy = remedies.push_submodule(name, commit, _address(settings.target))
        yield Finding("refusal", "submodules", evidence, remedy)


def _address(target: Target) -> str:
    """Give the clone's address, as git on the laptop takes it."""
    return target.path if target.local else f"ssh://{target.host.removeprefix('ssh://')}{target.path}"


def _known(repository: Repository) -> Value:
    return repository.branches or say("none")


def _discardable(check: str, evidence: Message, keep: Message, options: Options) -> Finding:
    if options.discard:
        return Finding("warning", check, evidence, remedies.SAVED_FIRST)
    return Finding("refusal", check, evidence, keep)
