"""Make images of the release that runs, for containers that are made anew, and give them the names of theirs."""

import json
from pathlib import PurePosixPath

from deploy import elsewhere, images, releases, shell
from deploy.images import Baking
from deploy.instances import Instance
from deploy.message import say
from deploy.plan import ASKED_FOR, Plan, Step
from deploy.settings import Settings
from deploy.shell import Variable
from deploy.state import State, TargetIs, variables
from deploy.steps import commit

NEEDS: tuple[str, ...] = ("tools", "engine", "repository", "submodules", "app container", "bake")
# The names are given back whatever runs.
UNDO_NEEDS: tuple[str, ...] = ("tools", "engine", "repository")
TARGET: TargetIs = "head"
TIMEOUT = 900
# After these a container may have other files of the same release.
CHANGING = ("hot-update", "rollback", "copy")


def plan(settings: Settings, state: State, run: str) -> Plan:
    """Bake the release into every image, then name all of these; no step where that was done before."""
    revision, found = releases.running(state), images.bakings(settings, state)
    if not found or _is_done(settings, state):
        return Plan("bake", revision, ())
    names = tuple(one.name for one in found)
    return Plan("bake", revision, (*(_bake(one, run, revision) for one in found), _name(settings, names, revision)))


def undo(settings: Settings, state: State) -> Plan:
    """Give the names of the baked images back to those that bore them before."""
    names = tuple(one.name for one in images.bakings(settings, state))
    told = {**variables(settings), **_named(names)}
    script = shell.script("containers.sh", "images.sh", "steps/unbake.sh", **told)
    summary = tuple(say("%s := %s:before-bake", name, images.repository(name)) for name in names)
    return Plan("bake", "", (Step("unbake", ASKED_FOR, script, TIMEOUT, summary, harmless=True),))


def _is_done(settings: Settings, state: State) -> bool:
    """Have the images what runs already?"""
    done = (run.verb for run in reversed(state.history) if run.outcome == "done")
    last = next((verb for verb in done if verb in (*CHANGING, "bake")), "")
    return last == "bake" and not images.lost(settings, state)


def _bake(baking: Baking, run: str, revision: str) -> Step:
    settings, state = baking.one.settings, baking.one.state
    told = commit.variables(settings, state, run, revision, recreated=True)
    record = state.app.record if state.app else None
    # The clone may be elsewhere; the image lacks what it lacked.
    differs = {"fresh": True, "overridden": dict(record.overridden) if record else {}}
    told["inside_settings"] = json.dumps(json.loads(str(told["inside_settings"])) | differs)
    tag = images.baked(baking.name, revision)
    script = shell.script(
        "redact.sh",
        "containers.sh",
        "trees.sh",
        "commit.sh",
        "images.sh",
        "steps/bake.sh",
        **told,
        image=state.containers["app"].image,
        tag=tag,
        outside=_outside(baking.one),
        carried=_carried(baking.one),
    )
    summary = (
        say("%s := its image, with what %s has of %s", tag, settings.app.container, revision[:7]),
        say("beside the container: nothing changes there"),
    )
    return Step(baking.one.step("bake"), ASKED_FOR, script, TIMEOUT, summary, harmless=True)


def _name(settings: Settings, names: tuple[str, ...], revision: str) -> Step:
    told = {**variables(settings), **_named(names), "revision": revision, "keep": settings.bake.keep}
    told["tags"] = tuple(images.baked(name, revision) for name in names)
    script = shell.script("containers.sh", "images.sh", "steps/name.sh", **told)
    summary = (
        *(say("%s := %s", name, images.baked(name, revision)) for name in names),
        say("what bears the name now: before-bake"),
        say("the newest %s stay", settings.bake.keep),
    )
    return Step("name", ASKED_FOR, script, TIMEOUT, summary, harmless=True)


def _named(names: tuple[str, ...]) -> dict[str, Variable]:
    return {"names": names, "repositories": tuple(map(images.repository, names))}


def _outside(one: Instance) -> tuple[str, ...]:
    """Name the files of the settings that lie outside of the code, as they are in the container."""
    found = one.state.app.files if one.state.app else {}
    return tuple(file.place for file in found.values() if _own(one, file.place))


def _carried(one: Instance) -> tuple[str, ...]:
    """Name what lies in the code's folder and is no file of the commit: made of such files, and built."""
    built = one.state.app.built if one.state.app else {}
    paths = (*elsewhere.derived(one.settings), *(one.settings.built[name].path for name in built))
    return tuple(place for path in paths if _own(one, place := f"{one.settings.app.path}/{path}"))


def _own(one: Instance, place: str) -> bool:
    """Is it the container's own, and not mounted there?"""
    mounts = one.state.containers["app"].mounts
    return not any(PurePosixPath(place).is_relative_to(mount) for mount in mounts)
