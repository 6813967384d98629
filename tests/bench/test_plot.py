"""The drawing: what is in it; how it looks is for the eye."""

from xml.etree import ElementTree

from tests.bench.figures import Request, Sample, Span
from tests.bench.plot import plot

SVG = "{http://www.w3.org/2000/svg}"
REQUESTS = (
    Request("nginx", 98, 0.004, True),
    Request("direct", 101, 0.02, True),
    Request("nginx", 102, 0.0001, False),
    Request("direct", 104, 30.0, False),
    Request("direct", 110, 0.02, True),
)
OURS = Sample("code", "ours", 20, 100, 109, REQUESTS, (Span("sync", 101, 101.1), Span("copy", 101.1, 104)))
SCRIPT = Sample("code", "script", 20, 200, 209, tuple(Request(r.door, r.at + 100, r.seconds, r.good) for r in REQUESTS))


def drawn(*samples: Sample) -> ElementTree.Element:
    return ElementTree.fromstring(plot(samples))


def texts(svg: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


def test_every_good_request_is_a_dot_of_its_door() -> None:
    dots = [circle.get("class") for circle in drawn(OURS, SCRIPT).iter(f"{SVG}circle")]
    assert dots == ["nginx", "direct", "direct"] * 2


def test_every_failed_request_is_a_cross() -> None:
    assert [cross.get("class") for cross in drawn(OURS, SCRIPT).iter(f"{SVG}path")] == ["failed"] * 4


def test_the_steps_of_the_run_are_named() -> None:
    assert [text for text in texts(drawn(OURS)) if text in ("sync", "copy")] == ["sync", "copy"]


def test_the_axes_have_units() -> None:
    assert {"latency", "1 ms", "10 s", "seconds since the update began"} <= set(texts(drawn(OURS)))


def test_both_sides_are_drawn_on_one_axis_that_begins_with_their_update() -> None:
    at = [circle.get("cx") for circle in drawn(OURS, SCRIPT).iter(f"{SVG}circle")]
    assert at[:3] == at[3:]


def test_nothing_is_drawn_outside() -> None:
    svg = drawn(OURS, SCRIPT)
    width, height = map(float, (svg.get("viewBox") or "").split()[2:])
    dots = [(float(dot.get("cx", -1)), float(dot.get("cy", -1))) for dot in svg.iter(f"{SVG}circle")]
    assert all(0 < x < width and 0 < y < height for x, y in dots)


def test_the_drawing_has_colours_for_dark_pages_too() -> None:
    assert "prefers-color-scheme: dark" in plot([OURS])
