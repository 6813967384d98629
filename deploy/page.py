"""The runs of hosts as one page of HTML that needs nothing else: no script, no file beside it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, tostring

from deploy.message import Printed, Told, say
from deploy.progress import OUTCOMES
from deploy.state import PastRun
from deploy.words import DECIDED

Words = Callable[[Told], str]

# Outcomes that are well, and those after which all is as it was; of the others somebody has to look after production.
GOOD, UNDONE = ("done",), ("undone", "refused", "changed", "locked")
# The narrowest part of a timeline that can be seen and touched, in hundredths of it.
NARROWEST = 2.0


def page(title: str, hosts: Mapping[str, Sequence[PastRun]], words: Words) -> str:
    """Lay out the runs of hosts, the newest first; of several hosts each run has the name of its own.

    `words` gives the text of what is told, in the reader's language.
    """
    runs = sorted(((run, name) for name, runs in hosts.items() for run in runs), key=lambda one: -one[0].ended)
    html = Element("html")
    head, body = SubElement(html, "head"), SubElement(html, "body")
    heading = words(say("Runs of %s", title))
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", heading)
    _add(head, "style", files("deploy").joinpath("page.css").read_text("utf-8"))
    _choices(body, heading, [run for run, _ in runs], words)
    for run, name in runs:
        _run(body, run, name if len(hosts) > 1 else "", words)
    return "<!doctype html>\n" + tostring(html, encoding="unicode", method="html") + "\n"


def _choices(body: Element, heading: str, runs: Sequence[PastRun], words: Words) -> None:
    """Let the reader choose below the heading which runs are shown, by the style sheet alone."""
    counts = {kind: sum(_kind(run) == kind for run in runs) for kind in ("good", "undone", "ill")}
    names = {
        "all": say("all runs (%s)", len(runs)),
        "good": say("done (%s)", counts["good"]),
        "undone": say("all as before (%s)", counts["undone"]),
        "ill": say("to be looked after (%s)", counts["ill"]),
    }
    for kind in names:
        chosen = {"checked": ""} if kind == "all" else {}
        SubElement(body, "input", {"type": "radio", "name": "shown", "id": kind, **chosen})
    _add(body, "h1", heading)
    for kind, name in names.items():
        _add(body, "label", words(name), {"for": kind})


def _kind(run: PastRun) -> str:
    return "good" if run.outcome in GOOD else "undone" if run.outcome in UNDONE else "ill"


def _run(body: Element, run: PastRun, host: str, words: Words) -> None:
    article = SubElement(body, "article", {"class": _kind(run)})
    heading = SubElement(article, "h2")
    outcome = _add(heading, "b", words(OUTCOMES.get(run.outcome, Printed(run.outcome))))
    when = f"{datetime.fromtimestamp(run.ended, UTC):%Y-%m-%d %H:%M:%S UTC}"
    release = f"{run.was[:7] or '?'} → {run.revision[:7]}" if run.revision else ""
    outcome.tail = " · ".join(filter(None, (when, host, run.verb, release)))
    _timeline(article, run, words)
    step, status, reason = run.failed
    if step:
        why = say("%s ended with %s: %s", step, status, reason) if reason else say("%s ended with %s", step, status)
        _add(article, "p", words(say("by %s", reason) if reason and status in DECIDED else why))
    if run.probe:
        _add(article, "p", words(run.probe.told))
    about = say("by %s, %s s, run %s", run.operator, run.ended - run.began, run.id)
    _add(SubElement(article, "p"), "small", words(about))


def _timeline(article: Element, run: PastRun, words: Words) -> None:
    """Draw each step as wide as it took."""
    whole = sum(seconds for _, _, seconds in run.steps) or 1.0
    bars = SubElement(article, "ol") if run.steps else article
    for name, status, seconds in run.steps:
        told = words(say("%s %s s", name, f"{seconds:.1f}"))
        share = max(100 * seconds / whole, NARROWEST)
        bad = {"class": "bad"} if status else {}
        _add(bars, "li", told, {"title": told, "style": f"flex: {share:.1f} 1 0", **bad})


def _add(parent: Element, tag: str, text: str, attributes: Mapping[str, str] | None = None) -> Element:
    child = SubElement(parent, tag, dict(attributes or {}))
    child.text = text
    return child
