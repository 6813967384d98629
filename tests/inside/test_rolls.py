"""What is remembered of a master whose workers were replaced, beside others that were started at the same moment."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.inside.processes import Process
from deploy.inside.programs import Program
from deploy.inside.rolls import of, remember, remembered

WEB, SCHEDULER = Process(18, 1, 25.99, []), Process(17, 1, 25.99, [])
LIVING = [Program("a" * 12, "web", "web", True, WEB, (18,)), Program("b" * 12, "jobs", "jobs", True, SCHEDULER, (17,))]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    return {"record": str(tmp_path)}


def test_of_masters_that_were_started_at_the_same_moment_each_keeps_its_own(settings: dict[str, Any]) -> None:
    remember(settings, WEB, LIVING, workers=2, at=30.0)
    remember(settings, SCHEDULER, LIVING, workers=1, at=31.0)
    rolls = remembered(settings)
    assert [(of(rolls, one)["workers"], of(rolls, one)["at"]) for one in (WEB, SCHEDULER)] == [(2, 30.0), (1, 31.0)]


def test_one_that_has_ended_is_forgotten(settings: dict[str, Any]) -> None:
    remember(settings, WEB, LIVING, workers=2)
    remember(settings, SCHEDULER, LIVING[1:], workers=1)
    assert of(remembered(settings), WEB) == {}


def test_what_an_earlier_version_remembered_without_its_id_holds(settings: dict[str, Any], tmp_path: Path) -> None:
    known = {"started": WEB.started, "workers": 2, "at": 30.0}
    (tmp_path / "rolls.json").write_text(json.dumps({"masters": [known]}), encoding="utf-8")
    assert of(remembered(settings), WEB)["workers"] == 2
    remember(settings, WEB, LIVING, at=40.0)
    assert of(remembered(settings), WEB) == known | {"at": 40.0, "pid": WEB.pid}
