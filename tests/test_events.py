"""What a verb tells programs: every event is as the schema says."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from deploy import backups
from deploy.changes import Section
from deploy.diagnosis.case import Diagnosis
from deploy.errors import Exit, Failure
from deploy.events import Events
from deploy.health import Check
from deploy.message import Printed, pack, say
from deploy.plan import Finding, Plan, Step
from deploy.runs import Event
from tests.build import STATE

SCHEMA, DOCUMENTS = (
    json.loads(files("deploy").joinpath(f"{name}.schema.json").read_text("utf-8")) for name in ("events", "documents")
)


def told(printed: str) -> list[Any]:
    """The events on standard output, each of them valid."""
    events = [json.loads(line) for line in printed.splitlines()]
    for event in events:
        jsonschema.validate(event, SCHEMA)
    return events


def document(printed: str, kind: str = "") -> Any:
    """The document on standard output, a valid one: what a verb tells of one host, or by `kind` of a group."""
    found = json.loads(printed)
    wanted = {"$ref": f"#/$defs/{kind}"} if kind else {"anyOf": DOCUMENTS["anyOf"]}
    jsonschema.validate(found, {**wanted, "$defs": DOCUMENTS["$defs"]})
    return found


@pytest.mark.parametrize("schema", [SCHEMA, DOCUMENTS])
def test_the_schema_is_one(schema: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_event_is_as_the_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    events = Events(of="prod")
    events.line(say("%s and %s", 1, ("a", say("b %s", 2.5))))
    events.error_line(Printed("two\nlines"))
    events.rows(((say("lock"), say("free")),))
    events.data("SELECT 1;\n")
    events.log("app  ", 1.5, Printed("started"), "cyan")
    events.findings((Finding("refusal", "env", say("it lacks %s", "KEY"), say("set it")),))
    events.diagnoses((Diagnosis("disk", say("it is full"), (say("seen"),), (say("do"),)),))
    events.table((say("runs"),), ((Printed("1a2b3c4"),),), (set(),))
    events.changes((Section(say("commits"), (Printed("1a2b3c4 fix"),)),))
    step = Step("copy", say("the code changes"), "true\n", 1, (Printed("A page.py"),))
    events.plan(Plan("hot-update", "2" * 40, (step,)), ("a", "b"), commands=True)
    events.nothing_to_do(say("hot-update of %s", "prod"), STATE)
    events.event(Event(1.5, "message", ("copy", pack(say("%s written", 3)))))
    events.done("prod", "2" * 40, (say("run %s by %s", "1", "me"),))
    dump = backups.Backup("20260101T000000-abcd", 1767225600, 5, ("a1",), "1" * 40)
    events.backups(backups.Backups("/dumps", 1767225601, (dump,), ()))
    events.health((Check("nginx", "http://localhost/", False, 503, 1.0, say("answered %s", 503)),))
    events.failure(Failure(say("no"), evidence=(say("seen"),), remedy=say("do"), code=Exit.REFUSED))
    kinds = {one["event"] for one in told(capsys.readouterr().out)}
    assert kinds == {one["properties"]["event"]["const"] for one in SCHEMA["oneOf"]}


def test_a_message_has_its_format_and_values_beside_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    Events(of="prod").line(say("%s of %s", 1, say("%s files", 3)))
    (event,) = told(capsys.readouterr().out)
    assert event["message"] == {
        "text": "1 of 3 files",
        "format": "%s of %s",
        "values": [1, {"text": "3 files", "format": "%s files", "values": [3]}],
    }


def test_nobody_is_asked() -> None:
    with pytest.raises(Failure) as refused:
        Events().ask(say("Go on? "))
    assert refused.value.code == Exit.USAGE
