"""Whether the release that runs can be baked into images: asked for by that verb alone."""

import re
from collections.abc import Iterator

from deploy import compose, images, instances, maintenance, releases, remedies
from deploy.instances import Instance
from deploy.message import Message, say
from deploy.plan import Finding
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names

CHECK = "bake"
# What a container was made from that no other image can be called.
NAMELESS = re.compile(r".*@|sha256:|[0-9a-f]{12,64}:latest$")


def bakable(settings: Settings, state: State) -> Iterator[Finding]:
    """Only a whole and confirmed release is baked, into images that have a name."""
    revision = releases.running(state)
    if maintenance.is_on(settings, state):
        told = say("the Nginx site shows the maintenance page")
        yield Finding("refusal", CHECK, told, remedies.page_off(settings.target.name))
    if evidence := _unfit(settings, state, revision):
        yield Finding("refusal", CHECK, evidence, remedies.update(settings.target.name))
    elif revision not in {run.revision for run in releases.confirmed(state)}:
        yield Finding("refusal", CHECK, say("%s was not confirmed", revision[:7]), remedies.CONFIRM_FIRST)
    yield from _misnamed(settings, state)


def _unfit(settings: Settings, state: State, revision: str) -> Message | None:
    """Say why what runs is not one whole release that the clone has."""
    for one in instances.each(settings, state):
        app, container = one.state.app, one.settings.app.container
        record = app.record if app else None
        if app is None or record is None:
            return say("no release was copied into %s", container)
        if not record.complete:
            return say("a copy of %s into %s was not finished", record.revision[:7], container)
        if record.revision != revision:
            return say("%s runs %s, and not %s", container, record.revision[:7], revision[:7])
        if app.drift:
            return say("changed by hand in %s: %s", container, names(app.drift))
        if one.state.running != revision:
            return say("the clone does not have %s, which runs", revision[:7])
    return None


def _misnamed(settings: Settings, state: State) -> Iterator[Finding]:
    own, container = state.named.get(settings.app.container), settings.app.container
    if own and images.tagged(own.name) != images.tagged(settings.app.image):
        evidence = say("%s was made from %s, and app.image says %s", container, own.name, settings.app.image)
        yield Finding("refusal", CHECK, evidence, remedies.SET_IMAGE)
        return
    found = images.bakings(settings, state)
    for one in found:
        if NAMELESS.match(one.name):
            evidence = say("a container was made from %s, and no other image can be called that", one.name)
            yield Finding("refusal", CHECK, evidence, remedies.NAME_IMAGE)
        elif replaced := _replaced(state, one):
            evidence = say("%s is another image than that which %s runs", one.name, replaced.settings.app.container)
            up = compose.up(settings, state, replaced.settings.app.service)
            yield Finding("refusal", CHECK, evidence, remedies.recreate(up))
    repositories = [images.repository(one.name) for one in found]
    if alike := [one.name for one in found if repositories.count(images.repository(one.name)) > 1]:
        evidence = say("these differ by their tags alone: %s", names(alike))
        yield Finding("refusal", CHECK, evidence, remedies.NAME_APART)


def _replaced(state: State, baking: images.Baking) -> Instance | None:
    """Find a container whose image's name was given to another one since, and not by us."""
    now = next(one for one in state.named.values() if images.tagged(one.name) == baking.name)
    if now.baked or not now.image:
        return None
    return next((one for one in baking.containers if one.state.containers["app"].image != now.image), None)
