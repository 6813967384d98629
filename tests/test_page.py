"""The runs of hosts as a page."""

from html.parser import HTMLParser

from deploy.message import Told
from deploy.page import page
from deploy.report import Report
from deploy.state import PastRun, Probed

GOOD = PastRun(
    1767312010, "20260102T000000-aaaa", "hot-update", "me@laptop", "1" * 40, "2" * 40, 1767312000, "done", "",
    (("proof", 0, 4.0), ("copy", 0, 1.0)), Probed(80, 0, 0.1, 0.2),
)  # fmt: skip
UNDONE = PastRun(
    1767322010, "20260102T030000-bbbb", "hot-update", "<b>&me", "2" * 40, "3" * 40, 1767322000, "undone", "copy 1 ",
    (("proof", 0, 4.0), ("copy", 1, 0.5)),
)  # fmt: skip


class Read(HTMLParser):
    """What a reader finds in a page: its articles by their classes, its texts and their languages, its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.articles: list[str] = []
        self.bars: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.languages: list[str] = []
        self.told: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if tag == "span":
            self.languages.append(given["lang"])
        if tag == "article":
            self.articles.append(given["class"])
        if tag == "li":
            self.bars.append((given["title"], given["style"]))

    def handle_endtag(self, tag: str) -> None:
        if tag == "span":
            self.languages.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        self.told.setdefault("".join(self.languages), []).append(data)


def read(**hosts: tuple[PastRun, ...]) -> Read:
    return Read(page("prod", hosts, Report().in_languages))


def test_the_newest_run_comes_first_and_each_shows_how_it_ended() -> None:
    assert read(prod=(GOOD, UNDONE)).articles == ["undone", "good"]


def test_a_step_is_as_wide_as_it_took() -> None:
    assert read(prod=(GOOD,)).bars == [("proof 4.0 s", "flex: 80.0 1 0"), ("copy 1.0 s", "flex: 20.0 1 0")]


def test_it_tells_what_failed_and_what_a_probe_met() -> None:
    told = read(prod=(GOOD, UNDONE)).texts
    assert "copy ended with 1" in told
    assert "0 of 80 requests failed, longest gap 0.10 s, slowest request 0.20 s" in told


def test_what_people_wrote_is_no_markup() -> None:
    found = read(prod=(UNDONE,))
    assert "by <b>&me, 10 s, run 20260102T030000-bbbb" in found.texts
    assert found.tags >= {"article", "li"}


def test_it_needs_nothing_else() -> None:
    assert not read(prod=(GOOD,)).tags & {"script", "link", "img", "iframe"}
    assert "http" not in page("prod", {"prod": (GOOD,)}, Report().in_languages)


def test_of_several_hosts_each_run_has_its_own() -> None:
    found = " ".join(read(a=(GOOD,), b=(UNDONE,)).texts)
    assert ("· b · hot-update · 2222222 → 3333333" in found, "· a · hot-update" in found) == (True, True)


def test_it_tells_everything_in_both_languages() -> None:
    told = read(prod=(GOOD, UNDONE)).told
    assert len(told["en"]) == len(told["zh"])
    assert {"all runs (2)", "undone", "copy ended with 1"} <= set(told["en"])
    assert {"全部运行（2）", "已撤销"} <= set(told["zh"])
    assert not [one for one in told["zh"] if one.isascii()]
    assert {"English", "中文", "proof 4.0 s"} <= set(told[""])


def test_it_begins_in_the_language_of_whoever_had_it_written() -> None:
    def chinese_first(told: Told) -> dict[str, str]:
        return dict(reversed(Report().in_languages(told).items()))

    for words, first, title in ((Report().in_languages, "en", "Runs of p"), (chinese_first, "zh", "p 的运行记录")):
        html = page("p", {"p": (GOOD,)}, words)
        assert f'<html lang="{first}">' in html
        assert f"<title>{title}</title>" in html
        assert f'<input type="radio" name="language" id="{first}" checked' in html
