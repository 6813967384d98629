"""Files of a commit that have their place elsewhere: compared, brought there, checked, and brought back."""

from pathlib import Path
from typing import Any

import pytest

from tests.inside.world import World

SOURCE = "nginx/site"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path / "etc"


@pytest.fixture
def site(world: World, etc: Path) -> World:
    """A world that runs a release whose site lies elsewhere, as the image has it."""
    place = etc / "site"
    world.settings["files"] = {"nginx": file(place)}
    world.update(world.commit({SOURCE: b"old $HOST\n", "a.py": b"a"}))
    place.write_bytes(b"old $HOST\n")
    return world


def file(place: Path, **changes: Any) -> dict[str, Any]:
    return {"source": SOURCE, "places": [[str(place), ""]], "render": {}, "check": "", "apply": ""} | changes


def facts(world: World, revision: str) -> dict[str, Any]:
    found: dict[str, Any] = world.inspect(revision)["files"]
    return found


def install(world: World, run: str = "run-1", command: str = "install") -> tuple[int, str]:
    answer = world.run(command, run=run, names=["nginx"], digits=40)
    return answer.returncode, answer.stderr.decode()


def test_what_lies_there_as_the_release_has_it_differs_in_nothing(site: World, etc: Path) -> None:
    revision = site.commit({"a.py": b"b"})
    told = {"place": str(etc / "site"), "differs": False, "edited": False, "current": True}
    assert facts(site, revision) == {"nginx": told}


def test_a_release_that_changes_it_differs_and_nobody_edited_it(site: World, etc: Path) -> None:
    revision = site.commit({SOURCE: b"new\n"})
    assert facts(site, revision)["nginx"] == {
        "place": str(etc / "site"),
        "differs": True,
        "edited": False,
        "current": True,
    }


def test_what_somebody_wrote_there_is_told(site: World, etc: Path) -> None:
    revision = site.commit({SOURCE: b"new\n"})
    (etc / "site").write_bytes(b"by hand\n")
    assert facts(site, revision)["nginx"]["edited"] is True


def test_what_was_left_there_by_an_update_is_nobodys_edit(site: World) -> None:
    site.update(site.commit({SOURCE: b"new\n"}))
    revision = site.commit({SOURCE: b"newer\n"})
    assert facts(site, revision)["nginx"] == facts(site, revision)["nginx"] | {"differs": True, "edited": False}


def test_a_file_that_lies_nowhere_is_not_told(site: World, etc: Path) -> None:
    (etc / "site").unlink()
    assert facts(site, site.commit({SOURCE: b"new\n"})) == {}


def test_the_first_place_that_is_there_counts(site: World, etc: Path) -> None:
    site.settings["files"]["nginx"]["places"] = [[str(etc / "template"), ""], [str(etc / "site"), ""]]
    assert facts(site, site.commit({SOURCE: b"new\n"}))["nginx"]["place"] == str(etc / "site")


def test_it_is_brought_there_as_the_old_one_was_protected_and_brought_back_byte_for_byte(
    site: World, etc: Path
) -> None:
    place = etc / "site"
    place.chmod(0o640)
    site.update(site.commit({SOURCE: b"new\n"}))
    assert install(site) == (0, "")
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (b"new\n", 0o640)
    assert install(site, command="uninstall") == (0, "")
    assert (place.read_bytes(), place.stat().st_mode & 0o777) == (b"old $HOST\n", 0o640)
    assert [path.name for path in etc.iterdir()] == ["site"]


def test_another_runs_file_is_not_brought_back(site: World, etc: Path) -> None:
    site.update(site.commit({SOURCE: b"new\n"}))
    assert install(site) == (0, "")
    assert install(site, run="run-2", command="uninstall") == (0, "")
    assert (etc / "site").read_bytes() == b"new\n"


def test_one_that_its_check_does_not_accept_comes_back_before_it_is_applied(site: World, etc: Path) -> None:
    place = etc / "site"
    site.settings["files"] = {"nginx": file(place, check=f"grep old {place}", apply=f"touch {etc}/applied")}
    site.update(site.commit({SOURCE: b"new\n"}))
    code, said = install(site)
    assert (code, "grep old" in said) == (1, True)
    assert place.read_bytes() == b"old $HOST\n"
    assert [path.name for path in etc.iterdir()] == ["site"]


def test_it_is_applied_after_the_check_and_again_when_it_is_brought_back(site: World, etc: Path) -> None:
    place = etc / "site"
    site.settings["files"] = {"nginx": file(place, check=f"test -s {place}", apply=f"cat {place} >>{etc}/read")}
    site.update(site.commit({SOURCE: b"new\n"}))
    assert install(site) == (0, "")
    assert install(site, command="uninstall") == (0, "")
    assert (etc / "read").read_bytes() == b"new\nold $HOST\n"


def template(world: World, etc: Path) -> None:
    render = {"HOST": "localhost", "PORT": "80"}
    world.settings["files"] = {
        "nginx": file(etc / "site", places=[[str(etc / "site"), str(etc / "made")]], render=render)
    }
    (world.app / ".env").write_text("PORT='8080'\n")


def test_a_template_is_rendered_with_the_named_variables_alone(site: World, etc: Path) -> None:
    template(site, etc)
    (etc / "made").write_bytes(b"old localhost\n")
    revision = site.commit({SOURCE: b"$HOST ${PORT} $uri ${OTHER}\n"})
    assert facts(site, revision)["nginx"] == {
        "place": str(etc / "site"),
        "differs": True,
        "edited": False,
        "current": True,
    }
    site.update(revision)
    assert install(site) == (0, "")
    assert (etc / "site").read_bytes() == b"$HOST ${PORT} $uri ${OTHER}\n"
    assert (etc / "made").read_bytes() == b"localhost 8080 $uri ${OTHER}\n"
    assert install(site, command="uninstall") == (0, "")
    assert (etc / "made").read_bytes() == b"old localhost\n"


def test_what_was_rendered_where_there_was_nothing_is_gone_when_it_is_brought_back(site: World, etc: Path) -> None:
    template(site, etc)
    site.update(site.commit({SOURCE: b"$HOST\n"}))
    assert install(site) == (0, "")
    assert (etc / "made").read_bytes() == b"localhost\n"
    assert install(site, command="uninstall") == (0, "")
    assert [path.name for path in etc.iterdir()] == ["site"]


def test_a_rendered_file_that_was_changed_by_hand_is_told(site: World, etc: Path) -> None:
    template(site, etc)
    (etc / "made").write_bytes(b"by hand\n")
    assert facts(site, site.commit({"a.py": b"b"}))["nginx"]["edited"] is True


def test_of_supervisors_settings_the_programs_are_told_that_come_change_and_go(site: World, etc: Path) -> None:
    old, new = b"[program:a]\ncommand=a\n[program:b]\ncommand=b\n", b"[program:a]\ncommand=z\n[program:c]\ncommand=c\n"
    (etc / "site").write_bytes(old)
    site.settings["files"] = {"nginx": file(etc / "site", apply="supervisorctl update")}
    told = facts(site, site.commit({SOURCE: new}))["nginx"]
    assert (told["came"], told["changed"], told["went"]) == (["c"], ["a"], ["b"])
