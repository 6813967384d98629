"""The runs of hosts as one page of HTML that needs nothing else: no script, no file beside it.

It tells everything in each language; which of them is read is chosen by the style sheet alone.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from xml.etree.ElementTree import Element, SubElement, tostring

from deploy.message import Message, Printed, Told, say
from deploy.progress import OUTCOMES
from deploy.state import PastRun
from deploy.words import DECIDED

# Gives the text of what is told in each language, that of whoever had the page written first.
Words = Callable[[Told], Mapping[str, str]]

# Outcomes that are well, and those after which all is as it was; of the others somebody has to look after production.
GOOD, UNDONE = ("done",), ("undone", "refused", "changed", "locked")
# The narrowest part of a timeline that can be seen and touched, in hundredths of it.
NARROWEST = 2.0
# Each language by its own name, as whoever cannot read the other one looks for it.
LANGUAGES = {"en": "English", "zh": "中文"}


def page(title: str, hosts: Mapping[str, Sequence[PastRun]], words: Words) -> str:
    """Lay out the runs of hosts, the newest first; of several hosts each run has the name of its own."""
    runs = sorted(((run, name) for name, runs in hosts.items() for run in runs), key=lambda one: -one[0].ended)
    heading = say("Runs of %s", title)
    first, named = next(iter(words(heading).items()))
    html = Element("html", lang=first)
    head, body = SubElement(html, "head"), SubElement(html, "body")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", named)
    _add(head, "style", files("deploy").joinpath("page.css").read_text("utf-8"))
    _choices(body, heading, [run for run, _ in runs], words)
    for run, name in runs:
        _run(body, run, name if len(hosts) > 1 else "", words)
    return "<!doctype html>\n" + tostring(html, encoding="unicode", method="html") + "\n"


def _choices(body: Element, heading: Message, runs: Sequence[PastRun], words: Words) -> None:
    """Let the reader choose the language, and below the heading which runs are shown."""
    counts = {kind: sum(_kind(run) == kind for run in runs) for kind in ("good", "undone", "ill")}
    names = {
        "all": say("all runs (%s)", len(runs)),
        "good": say("done (%s)", counts["good"]),
        "undone": say("all as before (%s)", counts["undone"]),
        "ill": say("to be looked after (%s)", counts["ill"]),
    }
    _buttons(body, "language", tuple(words(heading)))
    _buttons(body, "shown", tuple(names))
    for language, name in LANGUAGES.items():
        _add(body, "label", name, {"for": language, "lang": language})
    _say(body, "h1", heading, words)
    for kind, told in names.items():
        _say(body, "label", told, words, {"for": kind})


def _buttons(body: Element, name: str, choices: Sequence[str]) -> None:
    """Add what is chosen by labels; the first choice is the one at the start."""
    for choice in choices:
        chosen = {"checked": ""} if choice == choices[0] else {}
        SubElement(body, "input", {"type": "radio", "name": name, "id": choice, **chosen})


def _kind(run: PastRun) -> str:
    return "good" if run.outcome in GOOD else "undone" if run.outcome in UNDONE else "ill"


def _run(body: Element, run: PastRun, host: str, words: Words) -> None:
    article = SubElement(body, "article", {"class": _kind(run)})
    heading = SubElement(article, "h2")
    outcome = _say(heading, "b", OUTCOMES.get(run.outcome, Printed(run.outcome)), words)
    when = f"{datetime.fromtimestamp(run.ended, UTC):%Y-%m-%d %H:%M:%S UTC}"
    release = f"{run.was[:7] or '?'} → {run.revision[:7]}" if run.revision else ""
    outcome.tail = " · ".join(filter(None, (when, host, run.verb, release)))
    _timeline(article, run)
    step, status, reason = run.failed
    if step:
        why = say("%s ended with %s: %s", step, status, reason) if reason else say("%s ended with %s", step, status)
        _say(article, "p", say("by %s", reason) if reason and status in DECIDED else why, words)
    if run.probe:
        _say(article, "p", run.probe.told, words)
    about = say("by %s, %s s, run %s", run.operator, run.ended - run.began, run.id)
    _say(SubElement(article, "p"), "small", about, words)


def _timeline(article: Element, run: PastRun) -> None:
    """Draw each step as wide as it took."""
    whole = sum(seconds for _, _, seconds in run.steps) or 1.0
    bars = SubElement(article, "ol") if run.steps else article
    for name, status, seconds in run.steps:
        told = f"{name} {seconds:.1f} s"
        share = max(100 * seconds / whole, NARROWEST)
        bad = {"class": "bad"} if status else {}
        _add(bars, "li", told, {"title": told, "style": f"flex: {share:.1f} 1 0", **bad})


def _say(parent: Element, tag: str, told: Told, words: Words, attributes: Mapping[str, str] | None = None) -> Element:
    """Add a text in each language, once where all have the same."""
    texts = words(told)
    if len(set(texts.values())) == 1:
        return _add(parent, tag, next(iter(texts.values())), attributes)
    child = SubElement(parent, tag, dict(attributes or {}))
    for language, text in texts.items():
        _add(child, "span", text, {"lang": language})
    return child


def _add(parent: Element, tag: str, text: str, attributes: Mapping[str, str] | None = None) -> Element:
    child = SubElement(parent, tag, dict(attributes or {}))
    child.text = text
    return child
