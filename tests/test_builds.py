"""What is built from sources: whether a release brings it, from where, and what is said where it does not."""

from dataclasses import replace

import pytest

from deploy import builds, steps
from deploy.builds import Build
from deploy.plan import Options
from deploy.preflight import judge
from deploy.settings.model import Built
from deploy.state import Sources, State
from tests.build import DIGEST, OTHER_DIGEST, SETTINGS, STATE, app, finding

FRONTEND = (("M", "app/page.py"), ("M", "frontend/src/deep/main.js"))
CHANGED = replace(STATE, changes=FRONTEND)
LAPTOP = replace(SETTINGS, built={"frontend": Built("frontend/dist", ("frontend/**",), where="laptop")})
COMMAND = replace(SETTINGS, built={"frontend": Built("frontend/dist", ("frontend/**",), command="npm run build")})


def with_sources(state: State, **changes: object) -> State:
    return replace(state, sources={"frontend": replace(state.sources["frontend"], **changes)})  # type: ignore[arg-type]


def names(state: State, settings: object = SETTINGS, options: Options | None = None) -> list[str]:
    planned = steps.plan("hot-update", steps.HOT_UPDATE, settings, state, options or Options(), "run")  # type: ignore[arg-type]
    return [step.name for step in planned.steps if step.name in ("build", "ship")]


def due(state: State) -> list[Build]:
    return list(builds.due(SETTINGS, state))


def test_a_release_that_changes_sources_needs_another_build() -> None:
    (one,) = due(CHANGED)
    assert (one.name, one.changed, one.was, one.found) == (
        "frontend",
        ("frontend/src/deep/main.js",),
        OTHER_DIGEST,
        "nowhere",
    )


@pytest.mark.parametrize(
    "state",
    [
        STATE,
        replace(app(built={}), changes=FRONTEND),
        replace(STATE, changes=(("M", "frontends/main.js"),)),
        replace(app(built={"frontend": DIGEST}), changes=FRONTEND),
        app(differs={"frontend/src/main.js": None}),
    ],
    ids=["other files", "nothing built", "another folder", "built from these already", "sources left out of the image"],
)
def test_what_was_built_from_these_sources_may_stay(state: State) -> None:
    assert due(state) == []
    assert [one for one in judge(SETTINGS, state, Options()) if one.check == "built"] == []


def test_what_an_earlier_release_left_behind_is_due_until_it_comes() -> None:
    (one,) = due(app(built={"frontend": OTHER_DIGEST}))
    assert one.changed == ()
    (told,) = [one for one in judge(SETTINGS, app(built={"frontend": "?"}), Options()) if one.check == "built"]
    assert told.level == "warning"


def test_a_release_whose_sources_nobody_built_is_refused() -> None:
    found = finding("built", CHANGED)
    assert (found.level, found.evidence) == (
        "refusal",
        "frontend/src/deep/main.js changed, and users go on getting /app/frontend/dist as it was built; "
        "/opt/whalefall/frontend/dist is not there",
    )
    assert "--keep-built" in found.remedy
    assert finding("built", CHANGED, Options(keep_built=True)).level == "warning"
    assert names(CHANGED, options=Options(keep_built=True)) == []


def test_going_back_is_never_refused_for_what_nobody_built() -> None:
    assert finding("built", CHANGED, Options(back=True)).level == "warning"


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("same", "/app/frontend/dist comes with it: /opt/whalefall/frontend/dist, by the digest of its sources"),
        (
            "younger",
            "/app/frontend/dist comes with it: /opt/whalefall/frontend/dist, which is younger than its sources",
        ),
    ],
)
def test_what_lies_in_the_hosts_clone_and_is_proven_comes_with_the_release(folder: str, told: str) -> None:
    state = with_sources(CHANGED, folder=folder)
    assert finding("built", state).evidence == told
    assert names(state) == ["build", "ship"]


@pytest.mark.parametrize("folder", ["other", "older", "none"])
def test_what_lies_there_and_is_not_proven_does_not(folder: str) -> None:
    assert finding("built", with_sources(CHANGED, folder=folder)).level == "refusal"


def test_what_the_host_has_kept_needs_no_building() -> None:
    assert names(with_sources(CHANGED, stored=True)) == ["ship"]


def test_a_command_builds_it_before_anything_else() -> None:
    assert names(CHANGED, COMMAND) == ["build", "ship"]
    planned = steps.plan("hot-update", steps.HOT_UPDATE, COMMAND, CHANGED, Options(), "run").steps
    assert (planned[0].name, planned[0].harmless, planned[-1].name) == ("build", True, "ship")


def test_the_laptop_builds_what_the_host_has_not_kept() -> None:
    assert [one.name for one in builds.made_here(LAPTOP, CHANGED, Options())] == ["frontend"]
    assert names(CHANGED, LAPTOP) == ["ship"]
    assert builds.made_here(LAPTOP, with_sources(CHANGED, stored=True), Options()) == ()


def test_what_users_get_is_stale_while_other_sources_run() -> None:
    built = app(built={"frontend": DIGEST})
    assert builds.stale(built) == ("frontend",)
    assert builds.stale(replace(built, sources={"frontend": Sources(running=DIGEST)})) == ()
    assert builds.stale(STATE) == ()
