"""inv init before it connects: what it is given, and what it refuses."""

from pathlib import Path

import pytest

from deploy.errors import Exit, Failure
from deploy.verbs.init import Wanted, given, init


def test_settings_are_given_as_a_file_has_them() -> None:
    words = ["app.path=/srv", "copy.protected=[.env, a b]", "redis=none", "health.checks=http://localhost:8000/up?a=1"]
    assert given(words) == {
        "app.path": "/srv",
        "copy.protected": [".env", "a b"],
        "redis": "none",
        "health.checks": [{"name": "direct", "url": "http://localhost:8000", "paths": ["/up?a=1"]}],
    }


@pytest.mark.parametrize("word", ["app.path", "ap.path=/srv", "targets.prod.host=x", "app.logs=[", ""])
def test_what_is_no_setting_is_bad_usage(word: str) -> None:
    with pytest.raises(Failure) as failed:
        given([word])
    assert failed.value.code == Exit.USAGE


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted("host", local=True),
        Wanted("host", path="srv"),
        Wanted("host", given={"ssh.connect_timeout": "soon"}),
    ],
    ids=["no host", "two hosts", "no such path", "no such setting"],
)
def test_what_leads_to_no_host_is_bad_usage(tmp_path: Path, wanted: Wanted) -> None:
    with pytest.raises(Failure) as failed:
        init(tmp_path, wanted)
    assert failed.value.code == Exit.USAGE


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "invoke.yaml").write_text("mine")
    with pytest.raises(Failure) as failed:
        init(tmp_path, Wanted("host"))
    assert (failed.value.code, (tmp_path / "invoke.yaml").read_text()) == (Exit.USAGE, "mine")
