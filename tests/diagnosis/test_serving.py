"""What browsers get is compared with the release's files, through every door that serves them."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.diagnosis.serving import lifetime_of
from deploy.state import PastRun, Sources
from tests.build import DIGEST, OTHER_DIGEST, STATE, app
from tests.diagnosis.build import FACTS, PAGE, SCRIPT, STYLE, found, sent

# An update that ended a minute before the host was read, which took ten seconds.
LATE = replace(
    STATE,
    history=(
        PastRun(
            1767311940, "20260101T235850-aaaa", "hot-update", "me", "", "1" * 40, 1767311840, "done", "", ()
        ),
    ),
)  # fmt: skip

DATE = "Sat, 28 Nov 2026 10:00:00 GMT"


def with_sent(door: str, path: str, **changes: Any) -> Any:
    """The facts, in which one thing is sent in another way."""
    all_sent = tuple(replace(one, **changes) if (one.door, one.path) == (door, path) else one for one in FACTS.sent)
    return replace(FACTS, sent=all_sent)


def test_what_a_cache_on_the_way_has_kept_is_told_with_who_sends_the_release_s() -> None:
    (one,) = found(facts=with_sent("nginx", STYLE, sum="before"))
    assert one.cause == f"nginx (http://localhost) sends other content than the release has: {STYLE}"
    assert one.evidence[0].startswith(f"{STYLE}: sent before, in the container ")
    assert one.evidence[1] == "direct sends the release's: a cache on the way has kept the old"
    assert one.remedies[0] == "inv clean --target prod"


def test_what_no_door_sends_as_the_release_has_it_wants_a_restart() -> None:
    facts = with_sent("nginx", PAGE, sum="before")
    (one,) = found(facts=facts)
    assert one.remedies[0] == "inv restart --target prod"


def test_a_door_that_answers_everything_with_a_page_serves_no_file() -> None:
    assert found(facts=with_sent("direct", SCRIPT, status=200, sum="x", kind="text/html")) == ()


def test_a_page_that_refers_to_what_is_not_there_is_of_another_build() -> None:
    facts = replace(
        FACTS, refers={"nginx": ("/assets/gone.js",)}, sent=(*FACTS.sent, sent("nginx", "/assets/gone.js", status=404))
    )
    (one,) = found(facts=facts)
    assert one.cause == "the page of nginx (http://localhost) refers to what is not there: /assets/gone.js"


def test_what_was_built_from_other_sources_is_told() -> None:
    state = replace(app(built={"frontend": OTHER_DIGEST}), sources={"frontend": Sources(running=DIGEST, target=DIGEST)})
    (one,) = found(state)
    assert one.cause.startswith("frontend was built from other sources")


def test_what_the_last_update_changed_and_browsers_keep_is_told() -> None:
    (one,) = found(LATE, facts=with_sent("nginx", STYLE, cache_control="public, max-age=86400"))
    assert one.cause.endswith(f"files that the last update changed: {STYLE}")
    assert one.evidence == (
        "they may keep it for 24 hours, and their names stay the same",
        "the update was 60 seconds ago",
    )


@pytest.mark.parametrize("told", ["public, max-age=60", "no-store, max-age=86400"])
def test_what_browsers_have_asked_for_again_is_not_told(told: str) -> None:
    assert found(LATE, facts=with_sent("nginx", STYLE, cache_control=told)) == ()


def test_what_no_update_has_changed_may_be_kept() -> None:
    assert found(facts=with_sent("nginx", STYLE, cache_control="max-age=86400")) == ()


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"cache_control": "Public, Max-Age=600"}, 600),
        ({"cache_control": "", "date": DATE, "expires": "Sat, 28 Nov 2026 11:00:00 GMT"}, 3600),
        ({"cache_control": "", "date": DATE, "expires": "0"}, 0),
        ({"cache_control": ""}, 0),
    ],
)  # fmt: skip
def test_how_long_it_may_be_kept_is_what_the_headers_say(changes: dict[str, str], seconds: int) -> None:
    assert lifetime_of(sent("nginx", STYLE, **changes)) == seconds
