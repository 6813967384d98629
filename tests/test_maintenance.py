"""What Nginx is told of the maintenance page, whether it can be put before the app, and what is said of it."""

from dataclasses import replace
from typing import Any

import pytest

from deploy import maintenance, preflight, steps
from deploy.plan import Options
from deploy.preflight.images import bakable
from deploy.settings import Check, Settings
from deploy.settings.model import Also, Health, Maintenance
from deploy.state import Maintained, Other, Page, State
from deploy.steps import maintenance as page_steps
from tests.build import SETTINGS, STATE, UPDATED
from tests.texts import as_text

RUN = "20260101T000000-abcd"
SITE, TEMPLATE = "/etc/nginx/sites-available/whalefall", "/etc/nginx/templates/whalefall-prod.template"
CONTAINER = SETTINGS.app.container
NOW = "20260101T000200"


def showing(on: bool, state: State = STATE, **changes: Any) -> State:
    assert state.app
    return replace(state, app=replace(state.app, page=Page(SITE, TEMPLATE, on)), clock=NOW, **changes)


ON, OFF = showing(True), showing(False)
PUT = Maintained(CONTAINER, STATE.containers["app"].id, RUN, 1767225600)


def settings(**changes: Any) -> Settings:
    return replace(SETTINGS, maintenance=Maintenance(**changes))


def said(state: State, given: Settings = SETTINGS) -> Any:
    return as_text(maintenance.told(given, state))


def findings(state: State, given: Settings = SETTINGS, **options: Any) -> list[Any]:
    return [as_text(one) for one in preflight.judge(given, state, Options(**options)) if one.check == "maintenance"]


def test_the_paths_of_the_health_checks_and_those_of_the_settings_get_the_app() -> None:
    check = Check("api", "http://localhost", ("/api/health?deep=1", "/a%20b"))
    given = replace(settings(paths=("/hooks/*", '/"$1')), health=Health(checks=(check,)))
    assert (
        maintenance.configuration(given)["http.conf"]
        .split("default 1;\n")[1]
        .startswith(
            '    "/hot-update-maintenance.html" "";\n'
            '    "/api/health" "";\n'
            '    "/a b" "";\n'
            '    "~^/hooks/" "";\n'
            '    "/\\"$1" "";\n'
            "}\n"
        )
    )


def test_addresses_get_the_app_and_the_others_when_to_ask_again() -> None:
    told = maintenance.configuration(settings(addresses=("10.1.0.0/16", "::1/128"), retry_after=90))
    assert told["http.conf"].endswith('    default "";\n    10.1.0.0/16 1;\n    ::1/128 1;\n}\n')
    assert "add_header Retry-After 90 always;" in told["server.conf"]
    assert f'root "{SETTINGS.app.record}/maintenance";' in told["server.conf"]


def test_the_page_says_the_words_of_the_settings_a_paragraph_a_line() -> None:
    assert "<body>\n<p>维护 &lt;1 h&gt;</p>\n<p>again</p>\n</body>" in maintenance.page(
        settings(text="维护 <1 h>\nagain")
    )


def test_it_is_told_since_when_users_get_the_page_and_by_whom() -> None:
    assert said(OFF) is None
    assert said(ON) == "on: users get a page (503)"
    assert said(replace(ON, maintained=(PUT,))) == "on, users get a page (503): put there 2 minutes ago"
    assert [(one.level, one.remedy) for one in findings(ON)] == [("warning", "inv maintenance off --target prod")]


@pytest.mark.parametrize(
    ("id", "why"),
    [("another", f"{CONTAINER} was recreated"), (PUT.id, f"the Nginx site in {CONTAINER} was replaced")],
)
def test_a_page_that_is_gone_is_told_with_the_reason(id: str, why: str) -> None:
    state = replace(OFF, maintained=(replace(PUT, id=id),))
    (told,) = findings(state)
    assert (told.level, told.evidence) == ("warning", f"gone, since {why}: put there 2 minutes ago")
    assert "inv maintenance on --target prod puts it there again" in told.remedy


@pytest.mark.parametrize(
    ("state", "given", "why"),
    [
        (OFF, replace(SETTINGS, files={}), "the settings know of no Nginx in the app's container: files has no nginx"),
        (STATE, SETTINGS, f"{CONTAINER} has no Nginx site at {TEMPLATE}, /etc/nginx/sites-enabled/whalefall"),
        (
            replace(
                OFF,
                containers={
                    **OFF.containers,
                    "app": replace(OFF.containers["app"], mounts={"/etc/nginx": "/srv/nginx"}),
                },
            ),
            SETTINGS,
            f"{SITE} is mounted into {CONTAINER} from /srv/nginx",
        ),
    ],
)
def test_where_nginx_is_not_ours_it_is_refused_and_said_why(state: State, given: Settings, why: str) -> None:
    assert findings(state, given) == []
    assert [(one.level, one.evidence) for one in findings(state, given, page="x")] == [("refusal", why)]


def test_an_update_has_the_page_before_it_interrupts_until_the_release_is_proven() -> None:
    plan = steps.plan("hot-update", steps.HOT_UPDATE, SETTINGS, OFF, Options(page="<p>soon</p>"), RUN)
    names = [step.name for step in plan.steps]
    assert names == ["proof", "sync", "maintenance-on", "copy", "clean", "restart", "maintenance-off"]
    on, off = plan.steps[2], plan.steps[-1]
    assert ("\npage='<p>soon</p>'\n" in on.script, "\npage=''\n" in on.undo) == (True, True)
    assert ("\nproves=1\n" in off.script, "\nproves=1\n" in off.undo, "\nproves=1\n" in on.undo) == (True, False, False)
    assert "\npage='<p>soon</p>'\n" in off.undo


@pytest.mark.parametrize(
    ("state", "page"),
    [(OFF, ""), (ON, "x"), (showing(False, UPDATED), "x")],
    ids=["not asked for", "it is there already, and stays", "nothing interrupts"],
)
def test_else_it_has_none(state: State, page: str) -> None:
    plan = steps.plan("hot-update", steps.HOT_UPDATE, SETTINGS, state, Options(page=page), RUN)
    assert [step.name for step in plan.steps if "maintenance" in step.name] == []


def test_by_itself_it_is_put_before_every_container_that_users_ask_and_lacks_it() -> None:
    replica = Other("web-2", "", replace(OFF, first=False, replica=True))
    worker = Other("worker", "worker", replace(OFF, first=False, serves=False))
    given = replace(SETTINGS, also={"worker": Also()})
    (step,) = page_steps.alone(given, replace(ON, others=(replica, worker)), "x", RUN).steps
    assert (step.name, step.undo) == ("maintenance-on@web-2", "")


def test_it_is_taken_away_where_it_is_and_forgotten_where_it_is_gone() -> None:
    gone = replace(OFF, maintained=(replace(PUT, id="another"),))
    for state, names in ((ON, ["maintenance-off"]), (gone, ["maintenance-off"]), (OFF, [])):
        assert [step.name for step in page_steps.alone(SETTINGS, state, "", RUN).steps] == names


def test_no_image_is_made_of_a_site_that_shows_the_page() -> None:
    evidence = [as_text(one).evidence for one in bakable(SETTINGS, ON)]
    assert "the Nginx site shows the maintenance page" in evidence
