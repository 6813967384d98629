"""The images that containers are made from: what one has that is made anew, and which images a bake makes."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from deploy import instances, releases, remedies
from deploy.instances import Instance
from deploy.message import Message, say
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names

# Of a commit's id, as much as the tag of the image has that it was baked into.
DIGITS = 12


@dataclass(frozen=True)
class Baking:
    """A name of an image, with its tag, and the containers that were made from it."""

    name: str
    containers: tuple[Instance, ...]

    @property
    def one(self) -> Instance:
        """The container whose release is baked; that of the others is the same."""
        return self.containers[0]


def bakings(settings: Settings, state: State) -> tuple[Baking, ...]:
    """Group the containers that run the code by their images' names; those that have it from a mount are left out."""
    found: dict[str, list[Instance]] = {}
    for one in instances.each(settings, state):
        named = state.named.get(one.settings.app.container)
        if named and not mounted_from(one):
            found.setdefault(tagged(named.name), []).append(one)
    return tuple(Baking(name, tuple(alike)) for name, alike in found.items())


def mounted_from(one: Instance) -> str:
    """Say where the code of a container is mounted from; nothing where it is the container's own."""
    code, container = PurePosixPath(one.settings.app.path), one.state.containers.get("app")
    mounts = container.mounts.items() if container else ()
    return next((source for place, source in mounts if code.is_relative_to(place)), "")


def repository(name: str) -> str:
    """Give an image's name without its tag."""
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def tagged(name: str) -> str:
    """Give an image's name with its tag."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def baked(name: str, revision: str) -> str:
    """Name the image, of those of this name, that a release was baked into."""
    return f"{repository(name)}:{revision[:DIGITS]}"


def lost(settings: Settings, state: State) -> tuple[str, ...]:
    """Name the images whose new containers would not have the release that runs."""
    running, bears = releases.running(state), {tagged(one.name): one.baked for one in state.named.values()}
    return tuple(one.name for one in bakings(settings, state) if bears[one.name] != running)


def told(settings: Settings, state: State) -> Message | None:
    """Say whether a container that is made anew has the release that runs; nothing where that is not known."""
    running, found = releases.running(state)[:7], bakings(settings, state)
    if source := mounted_from(next(instances.each(settings, state))):
        return say("a recreated container has the code that is mounted from %s", source)
    if not running or not found:
        return None
    if without := lost(settings, state):
        keeping = remedies.bake(settings.target.name)
        return say("a recreated container loses %s, which %s does not have (%s)", running, names(without), keeping)
    return say("a recreated container has %s too", running)
