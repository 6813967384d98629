"""A settings file that is written says what was meant, and why."""

from pathlib import Path

from pydantic import TypeAdapter

from deploy.discovery.deciding import decide
from deploy.discovery.drift import drift
from deploy.settings import Settings, load
from deploy.settings.writing import Line, write
from tests.discovery.build import facts

TARGET = ("targets", "prod")
HEAD = Line((*TARGET, "host"), "deploy@shop.example.org"), Line((*TARGET, "path"), "/srv/shop")


def loaded(folder: Path, *lines: Line) -> Settings:
    (folder / "invoke.yaml").write_text(write([*HEAD, *lines], "head"), encoding="utf-8")
    return load(project=folder)


def test_what_was_found_is_what_is_loaded(tmp_path: Path) -> None:
    found = decide(facts(), {})
    settings = loaded(tmp_path, *(Line(tuple(one.key.split(".")), one.value, "why") for one in found if one.differs))
    plain = TypeAdapter(Settings).dump_python(settings, mode="json")
    for one in found:
        value = plain
        for part in one.key.split("."):
            value = value[part]
        if one.key == "health.checks":
            value = [{key: told for key, told in check.items() if told} for check in value]
        assert (one.key, {"worker": {}} if one.key == "also" else value) == (one.key, one.value)
    assert list(settings.also) == ["worker"]
    assert drift(settings, facts()) == ()


def test_each_line_has_its_reason_above_it() -> None:
    text = write(
        [Line(("app", "path"), "/srv", "a reason"), Line(("app", "logs"), [], "another"), Line(("redis",), "none")],
        "head",
    )
    assert text == ("# head\n\napp:\n  # a reason\n  path: /srv\n  # another\n  logs: []\n\nredis: none\n")


def test_values_that_yaml_would_take_for_something_else_are_what_was_meant(tmp_path: Path) -> None:
    odd = ["no", "22:30", "~", "1e3", "# x", "日本", "a: b"]
    env = loaded(tmp_path, Line(("env", "required"), odd)).env
    assert env
    assert env.required == tuple(odd)
