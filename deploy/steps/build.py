"""Have on the host what is built from the commit's sources, before anything is changed."""

from deploy import builds, shell, words
from deploy.message import Message, Printed, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables

NEEDS: tuple[str, ...] = ("tools", "engine", "repository", "submodules", "disk", "app container", "built")
TARGET: TargetIs = "head"


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    wanted = _wanted(settings, state, options)
    return say("not built yet: %s", words.names(tuple(one.name for one in wanted))) if wanted else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    wanted = _wanted(settings, state, options)
    script = shell.script(
        "trees.sh",
        "built.sh",
        "steps/build.sh",
        **variables(settings),
        revision=state.repository.target,
        builds=tuple(word for one in wanted for word in _told(one)),
    )
    summary = tuple(
        say("%s, in a clean checkout: %s", one.built.path, one.built.command)
        if one.built.command
        else Printed(f"{settings.target.path}/{one.built.path}")
        for one in wanted
    )
    timeout = 60 + sum(one.built.timeout for one in wanted)
    why = reason(settings, state, options) or ASKED_FOR
    return Step("build", why, script, timeout, summary, harmless=True)


def _wanted(settings: Settings, state: State, options: Options) -> tuple[builds.Build, ...]:
    return tuple(one for one in builds.shipped(settings, state, options) if one.found == "host")


def _told(one: builds.Build) -> tuple[str, str, str, str, str, str]:
    """Say what is built: its name, folder, digest, how, for how long, and from what."""
    pathspecs = "\n".join(one.built.pathspecs)
    return one.name, one.built.path, one.sources.target, one.built.command, str(one.built.timeout), pathspecs
