"""What an update may touch and what it may not, and how a release is proven, migrated and brought to serve."""

import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from deploy.discovery.facts import Container, Facts
from deploy.discovery.found import Found, some, usual
from deploy.message import say

# What an image is built from, beside Dockerfiles and the requirements.
LOCKS = {
    "pyproject.toml",
    "uv.lock",
    "poetry.lock",
    "Pipfile",
    "Pipfile.lock",
    "setup.py",
    "setup.cfg",
    "environment.yml",
}
# Programs by these words must not run twice.
SINGLE = re.compile("scheduler|beat")


def find(facts: Facts, app: Container, path: str) -> Iterator[Found]:
    """Find what is to be said of the code at `path` in the app's container, and of the programs that run it."""
    yield _unsuitable(facts, app)
    yield from _copy(facts, app, path)
    yield from _proof(app, path)
    yield from _migrate(facts, app, path)
    yield from _restart(app)
    yield _undo(facts, app)


def _starting(facts: Facts, app: Container) -> set[str]:
    """The tracked scripts that the container is started by; Python's are the code's."""
    words = " ".join(app.command).split()
    tracked = (name for name in facts.tracked if not name.endswith(".py"))
    return {name for name in tracked if any(f"/{word}".endswith(f"/{name}") for word in words)}


def _undo(facts: Facts, app: Container) -> Found:
    """A container that migrates as it starts does not start with old code on a new schema."""
    scripts = sorted(_starting(facts, app) & set(facts.upgrading))
    if not scripts and not re.search(r"\bdb\s+upgrade\b", " ".join(app.command)):
        return Found("undo.database", usual("undo.database"), say("nothing migrates as the container starts"))
    by = scripts[0] if scripts else say("its command")
    why = say("%s starts by %s, which migrates: with old code on a new schema it would not start", app.name, by)
    return Found("undo.database", "restore", why, "likely")


def _unsuitable(facts: Facts, app: Container) -> Found:
    default = usual("preflight.unsuitable")
    compose = {name for one in facts.containers for name in one.files}
    mounted = {name for one in facts.containers for name in facts.tracked if _mounts(one, name)}
    baked = {name for name in facts.tracked if _is_baked(name)} | (compose & set(facts.tracked)) | mounted
    baked |= _starting(facts, app)
    left = sorted(name for name in baked if not any(covers(pattern, name) for pattern in default))
    if not left:
        return Found("preflight.unsuitable", default, say("they cover what the images are built from"))
    used = [one for one in default if any(covers(one.removeprefix("!"), name) for name in facts.tracked)]
    return Found(
        "preflight.unsuitable", [*used, *left], say("what images are built from, and what is mounted from the clone")
    )


def _is_baked(name: str) -> bool:
    base = PurePosixPath(name).name
    return (
        base in LOCKS
        or "Dockerfile" in base
        or bool(re.fullmatch(r"requirements.*\.txt|requirements/[^/]+\.txt", name))
    )


def _mounts(one: Container, name: str) -> bool:
    """Is it mounted, as somebody's settings, into a container that does not run the code?"""
    sources = (source for place, source in one.mounts.items() if source == name or place.startswith("/etc/"))
    return not one.inside.get("share") and any(f"{name}/".startswith(f"{source}/") for source in sources)


def covers(pattern: str, name: str) -> bool:
    """Does a pattern cover a file, as git's glob pathspecs do? An exception covers none."""
    if pattern.startswith("!"):
        return False
    words = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    rules = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return bool(re.fullmatch("".join(rules.get(word, re.escape(word)) for word in words), name))


def _copy(facts: Facts, app: Container, path: str) -> Iterator[Found]:
    files = {key: one for key, one in usual("files").items() if one["source"] in facts.tracked}
    built = {
        key: one
        for key, one in usual("built").items()
        if any(covers(pattern, name) for pattern in one["sources"] for name in facts.tracked)
    }
    places = {place["path"] for one in files.values() for place in one["places"]}
    default = usual("copy.protected")
    mounts = [place.removeprefix(f"{path}/") for place in app.mounts if path and place.startswith(f"{path}/")]
    ours = [name.rstrip("/") for name in (*app.ignored, *mounts)]
    extra = sorted(
        {name for name in ours if name not in default and f"{path}/{name}" not in places}
        - {one["path"] for one in built.values()}
        - {str(parent) for name in facts.tracked for parent in (PurePosixPath(name), *PurePosixPath(name).parents)}
    )
    why = say("git ignores them, or they are mounted, and they lie among the code")
    yield Found("copy.protected", [*default, *extra], why if extra else say("they cover what git ignores"))
    yield some("files", files, say("their sources are tracked"), say("no source of one is tracked"))
    yield some("built", built, say("their sources are tracked"), say("no source of one is tracked"))
    caches = [one for one in usual("clean.caches") if one in app.inside.get("there", ())]
    yield some("clean.caches", caches, say("they are there"), say("there is no %s", tuple(usual("clean.caches"))))


def _proof(app: Container, path: str) -> Iterator[Found]:
    scratch = [one for one in usual("proof.scratch") if f"{one}/" in app.ignored]
    none = say("%s does not lie among the code", tuple(usual("proof.scratch")))
    yield some("proof.scratch", scratch, say("it lies among the code"), none)
    server, flask, python = (str(app.inside.get(key, "")) for key in ("server", "flask", "python"))
    # It may have another name for itself; what the container was started with may tell.
    commands = [_checking(list(words), server, path) for words in (app.inside.get("command", ()), app.command)]
    command = next(filter(None, commands), [])
    if server == "gunicorn" and command:
        proof = [python if command[0] in ("python", "python3") else command[0], *command[1:]]
        yield Found("proof.command", shlex.join(proof), say("the server's own command, with --check-config"))
    elif server and server != "gunicorn" and flask:
        yield Found(
            "proof.command", shlex.join([flask, "routes"]), say("it imports the app, as %s would", server), "likely"
        )
    else:
        yield Found("proof.command", None, say("how the server was started is not known"), "unknown")


def _checking(words: list[str], server: str, path: str) -> list[str]:
    """Have a server's command only check what lies where it is run, and not at `path`; nothing where it is none."""
    for at, word in enumerate(words[:3]):
        if PurePosixPath(word).name == server:
            begin = at - 2 if words[max(at - 1, 0)] == "-m" else at
            rest = (word.removeprefix(f"{path}/") for word in words[at + 1 :])
            return [*words[begin : at + 1], "--check-config", *rest]
    return []


def _migrate(facts: Facts, app: Container, path: str) -> Iterator[Found]:
    told = str(app.inside.get("migrations", "")).removeprefix(f"{path}/")
    tracked = set(facts.tracked)
    folders = [name.removesuffix("/env.py") for name in facts.tracked if name.endswith("/env.py")]
    folders = [one for one in folders if f"{one}/script.py.mako" in tracked]
    if told in folders:
        yield Found("migrate.directory", told, say("the app's Flask-Migrate says so"))
    elif len(folders) == 1:
        yield Found("migrate.directory", folders[0], say("the only folder with Alembic's env.py"), "likely")
    elif folders:
        yield Found("migrate.directory", None, say("several have Alembic's env.py: %s", tuple(folders)), "unknown")
    default = usual("migrate.stamp")
    known = [rule for rule in default if any(rule["revision"] in name for name in facts.tracked)]
    yield Found(
        "migrate.stamp",
        default if known else [],
        say("their revisions are tracked") if known else say("their revisions are not tracked"),
    )
    if named := app.inside.get("named"):
        for key in ("proof.environment", "migrate.environment"):
            yield Found(key, {**usual(key), "FLASK_APP": named}, say("without it flask does not find the app"))


def _restart(app: Container) -> Iterator[Found]:
    there, programs = app.inside.get("there", ()), app.inside.get("programs", ())
    single = [one["supervised"] for one in programs if SINGLE.search(one["supervised"])]
    none = say("no program of Supervisor in %s is called a scheduler", app.name)
    yield some("restart.single", single, say("by their names, they are schedulers"), none, "likely")
    locks = [one for one in usual("restart.exclusive_files") if one in there or single]
    none = say("there is no %s", tuple(usual("restart.exclusive_files")))
    yield some("restart.exclusive_files", locks, say("it is there, or a scheduler makes it"), none)
    reload = usual("restart.reload") if app.inside.get("nginx") else []
    why, none = say("Nginx runs in %s", app.name), say("Nginx does not run in %s", app.name)
    yield some("restart.reload", reload, why, none)
