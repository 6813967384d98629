"""What a container has that is made anew, and when a release is baked into the images of these."""

from dataclasses import replace
from typing import Any

import pytest

from deploy import images, preflight
from deploy.plan import Options, Plan
from deploy.preflight.images import bakable
from deploy.settings import Settings
from deploy.settings.model import App
from deploy.state import Installed, Named, PastRun, State
from deploy.steps import bake
from tests.build import APP, NEW, OLD, RECORD, SETTINGS, UPDATED
from tests.test_instances import ALSO, WORKER, other
from tests.texts import as_text

RUN = "20260103T000000-abcd"
IMAGE = UPDATED.containers["app"].image
BAKES = "inv bake --target prod"
OWN = UPDATED.containers["app"].name


def past(verb: str, outcome: str = "done", revision: str = NEW) -> PastRun:
    return PastRun(1, RUN, verb, "ada@laptop", OLD, revision, 0, outcome, "", ())


# Confirmed, and never baked.
STATE = replace(UPDATED, named={OWN: Named("whalefall:prod", IMAGE)}, history=(past("hot-update"),))
BAKED = replace(STATE, named={OWN: Named("whalefall:prod", "sha256:new", NEW)}, history=(*STATE.history, past("bake")))


def with_worker(named: Named, **changes: Any) -> State:
    found = other("worker-1", "worker", WORKER)
    there = replace(APP, built={}, record=replace(RECORD, revision=NEW), **changes)
    alike = replace(found.state, running=NEW, app=there)
    return replace(STATE, others=(replace(found, state=alike),), named={**STATE.named, "worker-1": named})


def mounted(source: str = "/opt/whalefall", place: str = "/app") -> State:
    container = replace(STATE.containers["app"], mounts={place: source})
    return replace(STATE, containers={**STATE.containers, "app": container})


def plan(state: State, settings: Settings = SETTINGS) -> Plan:
    return bake.plan(settings, state, RUN)


def refusal(state: State, settings: Settings = SETTINGS) -> tuple[str, str]:
    (found,) = map(as_text, bakable(settings, state))
    return found.evidence, found.remedy


@pytest.mark.parametrize(
    ("name", "repository", "tagged"),
    [
        ("whalefall:prod", "whalefall", "whalefall:prod"),
        ("shop-web", "shop-web", "shop-web:latest"),
        (
            "registry.example:5000/team/shop",
            "registry.example:5000/team/shop",
            "registry.example:5000/team/shop:latest",
        ),
        ("example.org:5000/shop:2", "example.org:5000/shop", "example.org:5000/shop:2"),
    ],
)
def test_a_name_is_taken_apart_at_its_tag(name: str, repository: str, tagged: str) -> None:
    assert (images.repository(name), images.tagged(name)) == (repository, tagged)
    assert images.baked(name, NEW) == f"{repository}:222222222222"


def test_a_confirmed_release_is_baked_and_then_named() -> None:
    found = as_text(plan(STATE))
    assert [(step.name, step.harmless, step.undo) for step in found.steps] == [("bake", True, ""), ("name", True, "")]
    assert found.revision == NEW
    assert found.steps[1].summary[0] == "whalefall:prod := whalefall:222222222222"
    assert [*bakable(SETTINGS, STATE)] == []


def test_services_of_the_same_image_get_one_and_others_their_own() -> None:
    same, own = with_worker(Named("whalefall:prod", IMAGE)), with_worker(Named("shop-worker", IMAGE))
    assert [step.name for step in plan(same, ALSO).steps] == ["bake", "name"]
    assert [step.name for step in plan(own, ALSO).steps] == ["bake", "bake@worker-1", "name"]
    assert "\nnames=(whalefall:prod shop-worker:latest)\n" in plan(own, ALSO).steps[-1].script


def test_what_is_baked_already_is_not_baked_again_until_something_came_into_the_container() -> None:
    assert plan(BAKED).steps == ()
    assert plan(replace(BAKED, history=(*BAKED.history, past("backup"), past("hot-update", "undone")))).steps == ()
    assert len(plan(replace(BAKED, history=(*BAKED.history, past("hot-update")))).steps) == 2


def test_mounted_code_is_not_baked() -> None:
    assert (images.bakings(SETTINGS, mounted()), plan(mounted()).steps) == ((), ())
    assert images.bakings(SETTINGS, mounted(place="/")) == ()
    assert len(images.bakings(SETTINGS, mounted(place="/app/userdata"))) == 1


def test_files_that_lie_elsewhere_come_along_unless_they_are_mounted() -> None:
    assert STATE.app
    files = {"supervisor": Installed("/etc/supervisor/conf.d/whalefall.conf", False, False)}
    state = replace(STATE, app=replace(STATE.app, files=files))
    script = plan(state).steps[0].script
    assert "\noutside=(/etc/supervisor/conf.d/whalefall.conf)\n" in script
    assert "\ncarried=(/app/gunicorn.conf.py /app/frontend/dist)\n" in script
    container = replace(state.containers["app"], mounts={"/etc/supervisor/conf.d": "/srv", "/app/frontend": "/dist"})
    script = plan(replace(state, containers={**state.containers, "app": container})).steps[0].script
    assert "\noutside=()\n" in script
    assert "\ncarried=(/app/gunicorn.conf.py)\n" in script


def test_the_image_lacks_what_the_container_lacked_wherever_the_clone_is_meanwhile() -> None:
    assert STATE.app
    record = replace(RECORD, revision=NEW, overridden={"uv.lock": "a" * 40})
    moved = replace(STATE.repository, target="3" * 40)
    state = replace(
        STATE, app=replace(STATE.app, record=record), repository=moved, image_changes={"Dockerfile": "b" * 40}
    )
    step = plan(state).steps[0]
    assert f'"overridden": {{"uv.lock": "{"a" * 40}"}}' in step.script
    assert f"\nrevision={NEW}\n" in step.script


@pytest.mark.parametrize(
    ("changes", "evidence"),
    [
        ({"record": None}, "no release was copied into whalefall_app_prod"),
        ({"record": replace(RECORD, complete=False)}, "a copy of 1111111 into whalefall_app_prod was not finished"),
        ({"drift": ("app/page.py",)}, "changed by hand in whalefall_app_prod: app/page.py"),
    ],
)
def test_only_a_whole_release_is_baked(changes: dict[str, Any], evidence: str) -> None:
    assert STATE.app
    told = refusal(replace(STATE, app=replace(STATE.app, **changes)))
    assert told == (evidence, "inv hot-update --target prod")


def test_a_release_that_runs_in_one_container_only_is_not_baked() -> None:
    state = with_worker(Named("whalefall:prod", IMAGE))
    behind = replace(state.others[0].state, app=replace(APP, record=RECORD))
    told = refusal(replace(state, others=(replace(state.others[0], state=behind),)), ALSO)
    assert told[0] == "worker-1 runs 1111111, and not 2222222"


def test_a_release_that_the_clone_does_not_have_is_not_baked() -> None:
    assert refusal(replace(STATE, running=""))[0] == "the clone does not have 2222222, which runs"


@pytest.mark.parametrize(
    "history", [(), (past("copy"),), (past("hot-update", "undone"),), (past("rollback", revision=OLD),)]
)
def test_only_a_confirmed_release_is_baked(history: tuple[PastRun, ...]) -> None:
    assert refusal(replace(STATE, history=history))[0] == "2222222 was not confirmed"


def test_a_container_of_another_image_than_the_settings_say_is_left_alone() -> None:
    settings = replace(SETTINGS, app=App(image="shop"))
    evidence, remedy = refusal(STATE, settings)
    assert evidence == "whalefall_app_prod was made from whalefall:prod, and app.image says shop"
    assert remedy == "set app.image to what the container was made from"


def test_an_image_that_was_built_since_is_not_taken_from_its_name() -> None:
    evidence, remedy = refusal(replace(STATE, named={OWN: Named("whalefall:prod", "sha256:built")}))
    assert evidence == "whalefall:prod is another image than that which whalefall_app_prod runs"
    assert "docker compose -p whalefall -f /opt/whalefall/docker-compose.prod.yml up -d whalefall" in remedy


def test_a_container_that_was_recreated_from_a_baked_image_alone_is_no_obstacle_to_the_others() -> None:
    state = with_worker(Named("whalefall:prod", "sha256:new", OLD))
    assert [
        *bakable(ALSO, replace(state, named=dict.fromkeys(state.named, Named("whalefall:prod", "sha256:new", OLD))))
    ] == []


@pytest.mark.parametrize("name", ["shop@sha256:0123456789abcdef", "sha256:0123456789ab", "0123456789ab"])
def test_what_no_other_image_can_be_called_is_refused(name: str) -> None:
    found = [as_text(one).evidence for one in bakable(ALSO, with_worker(Named(name, IMAGE)))]
    assert len(found) == 1
    assert "no other image can be called that" in found[0]


def test_names_that_differ_by_their_tags_alone_are_refused() -> None:
    evidence, _ = refusal(with_worker(Named("whalefall:worker", IMAGE)), ALSO)
    assert evidence == "these differ by their tags alone: whalefall:prod, whalefall:worker"


@pytest.mark.parametrize(
    ("state", "told", "lost"),
    [
        (
            STATE,
            "a recreated container loses 2222222, which whalefall:prod does not have (inv bake --target prod)",
            True,
        ),
        (BAKED, "a recreated container has 2222222 too", False),
        (mounted(), "a recreated container has the code that is mounted from /opt/whalefall", False),
        (replace(STATE, named={}), None, False),
        (replace(STATE, app=replace(APP, record=None)), None, False),
    ],
)
def test_what_a_recreated_container_would_have_is_told(state: State, told: str | None, lost: bool) -> None:
    found = images.told(SETTINGS, state)
    assert (found and as_text(found), bool(images.lost(SETTINGS, state))) == (told, lost)


def test_preflight_does_not_ask_whether_the_release_could_be_baked() -> None:
    assert "bake" not in {finding.check for finding in preflight.judge(SETTINGS, STATE, Options())}
