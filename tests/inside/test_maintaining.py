"""The maintenance page in the container: the site shows it, and is byte for byte as it was afterwards."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.inside.nginx import has_page, lines, with_page, without_page
from tests.inside.world import World

FOLDER = b"/var/lib/hot-update/maintenance"
SOURCE = "nginx/site"
SITE = b"upstream app { server 10.0.0.1; }\nserver {\n    listen $PORT;\n}\n"
PAGE = b"<p>\xe7\xbb\xb4\xe6\x8a\xa4</p>\n"
PIECES = st.sampled_from(
    [
        b"server {",
        b"server\n{",
        b"\n",
        b"\r\n",
        b" ",
        b"#",
        b";",
        b"}",
        b"listen 80;",
        b"upstream a { server b; }",
        b"\xff",
    ]
)


@given(st.lists(PIECES).map(b"".join))
def test_whatever_a_site_is_the_lines_come_out_as_they_went_in(site: bytes) -> None:
    showing = with_page(site, FOLDER)
    assert without_page(showing, FOLDER) == site
    assert with_page(showing, FOLDER) == showing


@pytest.mark.parametrize(
    ("site", "servers"),
    [
        (b"server { listen 80; }\nserver\n{\n}\n", 2),
        (b"map a b { } server {\n}\n", 1),
        (b"# server {\nupstream app {\n    server 10.0.0.1;\n}\n", 0),
        (b"a 1; # then; server {\n", 0),
    ],
)
def test_every_server_gets_them_and_nothing_else(site: bytes, servers: int) -> None:
    showing = with_page(site, FOLDER)
    assert showing.count(lines(FOLDER)[1]) == servers
    assert has_page(showing, FOLDER) == bool(servers)


@pytest.fixture
def site(world: World) -> World:
    """A world whose site is rendered from a template; its check fails where the site says so."""
    etc = world.place / "etc"
    etc.mkdir()
    world.settings["files"] = {
        "nginx": {
            "source": SOURCE,
            "places": [[str(etc / "template"), str(etc / "site")]],
            "render": {"PORT": "80"},
            "check": f"! grep -h broken {etc}/site",
            "apply": f"echo read >>{world.place}/applied",
        }
    }
    world.settings["configuration"] = {"http.conf": "map\n", "server.conf": "return 503;\n"}
    world.update(world.commit({SOURCE: SITE}))
    (etc / "template").write_bytes(SITE)
    (etc / "site").write_bytes(SITE.replace(b"$PORT", b"80"))
    return world


def there(world: World) -> tuple[bytes, bytes]:
    return (world.place / "etc/template").read_bytes(), (world.place / "etc/site").read_bytes()


def page(world: World) -> Any:
    return world.inspect()["page"]


def test_the_site_and_its_template_show_the_page_and_are_as_they_were_after_it(site: World) -> None:
    before, folder = there(site), site.record / "maintenance"
    told = {"place": str(site.place / "etc/site"), "template": str(site.place / "etc/template")}
    assert page(site) == {**told, "on": False}
    site.done("maintain", PAGE)
    assert page(site) == {**told, "on": True}
    assert [has_page(content, bytes(folder)) for content in there(site)] == [True, True]
    assert (folder / "hot-update-maintenance.html").read_bytes() == PAGE
    assert {path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {0o755, 0o644}
    site.done("maintain", b"another")
    assert (folder / "hot-update-maintenance.html").read_bytes() == b"another"
    site.done("unmaintain")
    assert (there(site), folder.exists(), page(site)["on"]) == (before, False, False)
    assert (site.place / "applied").read_text() == "read\n" * 3
    assert b"was not there" in site.done("unmaintain")


@pytest.mark.parametrize(
    ("content", "why"), [(b"server { broken; }", b"broken"), (b"# nothing\n", b"the Nginx site has no server")]
)
def test_what_the_check_does_not_accept_is_as_before_and_nobody_has_read_it(
    site: World, content: bytes, why: bytes
) -> None:
    for name in ("template", "site"):
        (site.place / "etc" / name).write_bytes(content)
    answer = site.run("maintain", PAGE)
    assert (answer.returncode, why in answer.stderr) == (1, True)
    assert there(site) == (content, content)
    assert ((site.place / "applied").exists(), (site.record / "maintenance").exists()) == (False, False)


def test_the_page_is_nobodys_edit_and_a_release_that_brings_another_site_keeps_it(site: World) -> None:
    site.done("maintain", PAGE)
    newer = SITE + b"# newer\n"
    revision = site.commit({SOURCE: newer})
    found = site.inspect(revision)["files"]["nginx"]
    assert (found["differs"], found["edited"], found["current"]) == (True, False, True)
    site.update(revision)
    site.done("install", names=["nginx"], digits=40)
    assert [has_page(content, bytes(site.record / "maintenance")) for content in there(site)] == [True, True]
    assert site.inspect(revision)["files"]["nginx"]["differs"] is False
    site.done("unmaintain")
    assert there(site) == (newer, newer.replace(b"$PORT", b"80"))


def test_what_was_changed_by_hand_meanwhile_stays(site: World) -> None:
    site.done("maintain", PAGE)
    place = site.place / "etc/site"
    place.write_bytes(place.read_bytes() + b"# by hand\n")
    site.done("unmaintain")
    assert place.read_bytes() == SITE.replace(b"$PORT", b"80") + b"# by hand\n"


def test_where_no_site_lies_there_is_none(site: World) -> None:
    (site.place / "etc/template").unlink()
    assert page(site) is None
