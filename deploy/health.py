"""Ask the app's health checks, and wait until all are healthy."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import requests
import urllib3.exceptions

from deploy.beside import Beside
from deploy.message import Message, Told, Value, say
from deploy.words import joined

# Seconds between two rounds of questions: the first pause, its growth, the longest.
_PAUSE, _GROWTH, _LONGEST_PAUSE = 0.25, 1.5, 3.0

_LONGEST_VALUE = 80

# Before the scheme of a URL that is asked from the app's container.
INSIDE = "inside+"


class Wanted(Protocol):
    """A check as the settings describe it: its URL, alternative paths, values of the JSON by dotted path, and how."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def paths(self) -> Sequence[str]: ...
    @property
    def expect(self) -> Mapping[str, object]: ...
    @property
    def host(self) -> str: ...
    @property
    def inside(self) -> bool: ...


@dataclass(frozen=True)
class Check:
    """What a check answered: url is the alternative that counted, problem is none when it is healthy."""

    name: str
    url: str
    healthy: bool
    status: int | None
    latency_ms: float | None
    problem: Told | None


def check(session: requests.Session, checks: Sequence[Wanted], timeout: float) -> tuple[Check, ...]:
    """Ask every check once, side by side; timeout is in seconds, for connecting and for each wait for an answer."""
    asked = [Beside(partial(_ask, session, wanted, timeout)) for wanted in checks]
    answers = tuple(answer.result() for answer in asked)
    # What stands before an app that does not answer may say 404 in its place.
    silent = any(answer.status is None for answer in answers)
    return answers if silent else tuple(_suspected(answer) for answer in answers)


def wait(
    session: requests.Session,
    checks: Sequence[Wanted],
    *,
    timeout: float,
    deadline: float,
    told: Callable[[tuple[Check, ...]], None] = lambda answers: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Check, ...]:
    """Ask until all checks are healthy or deadline seconds have passed; return the last answers.

    `told` is given the answers of every round.
    """
    end = clock() + deadline
    pause = _PAUSE
    while True:
        answers = check(session, checks, timeout)
        told(answers)
        left = end - clock()
        if left <= 0 or all(answer.healthy for answer in answers):
            return answers
        sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _suspected(answer: Check) -> Check:
    """Say of a route that the app does not know that its setting is wrong."""
    if answer.status != 404 or answer.problem is None:
        return answer
    problem = say("%s: wrong setting health.checks[%s].paths", answer.problem, answer.name)
    return replace(answer, problem=problem)


def _ask(session: requests.Session, wanted: Wanted, timeout: float) -> Check:
    """Ask the alternatives in order: the first that does not answer 404 counts, since releases move their routes."""
    for path in wanted.paths:
        answer = _ask_url(session, wanted, wanted.url.rstrip("/") + path, timeout)
        if answer.status != 404:
            return answer
    problem = say("answered 404 at %s", tuple(wanted.paths))
    return Check(wanted.name, answer.url, False, 404, answer.latency_ms, problem)


def _ask_url(session: requests.Session, wanted: Wanted, url: str, timeout: float) -> Check:
    started = time.perf_counter()
    try:
        headers = {"Host": wanted.host} if wanted.host else {}
        asked = f"{INSIDE}{url}" if wanted.inside else url
        response = session.get(asked, headers=headers, timeout=(timeout, timeout), allow_redirects=False)
    except requests.RequestException as error:
        return Check(wanted.name, url, False, None, None, _no_answer(error, timeout))
    latency_ms = (time.perf_counter() - started) * 1000
    problem = _problem(response, wanted.expect)
    return Check(wanted.name, url, not problem, response.status_code, latency_ms, problem)


def _problem(response: requests.Response, expect: Mapping[str, object]) -> Told | None:
    if response.is_redirect:
        return say("redirects to %s", _shown(response.headers["location"]))
    if not 200 <= response.status_code < 300:
        return say("answered %s", response.status_code)
    if not expect:
        return None
    try:
        answer = json.loads(response.content)
    except ValueError:
        return say("not JSON")
    found = (_difference(answer, path, value) for path, value in expect.items())
    differences = tuple(filter(None, found))
    return joined(differences) if differences else None


def _difference(answer: object, path: str, expected: object) -> Message | None:
    found = answer
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return say("%s is missing, expected %s", path, repr(expected))
        found = found[key]
    # In Python True equals 1; in JSON and YAML it does not.
    if found == expected and isinstance(found, bool) == isinstance(expected, bool):
        return None
    return say("%s is %s, expected %s", path, _shown(found), repr(expected))


def _shown(value: object) -> Value:
    """Show a value of an answer, and no more of the answer than that."""
    if isinstance(value, dict | list):
        return say("an object") if isinstance(value, dict) else say("a list")
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _no_answer(error: requests.RequestException, timeout: float) -> Message:
    causes = tuple(_causes(error))
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return say("no answer: connection refused")
    if any(isinstance(cause, urllib3.exceptions.NameResolutionError) for cause in causes):
        return say("no answer: the name is not resolved")
    if any(_is_timeout(cause) for cause in causes):
        return say("took longer than %s s", f"{timeout:g}")
    if any(isinstance(cause, ConnectionError | urllib3.exceptions.ProtocolError) for cause in causes):
        return say("no answer: the connection was closed")
    if isinstance(error, ValueError):
        return say("the URL is not valid")
    return say("no answer: %s", type(error).__name__)


def _is_timeout(cause: BaseException) -> bool:
    # In urllib3 a connection that was refused is a timeout too.
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return False
    return isinstance(cause, requests.Timeout | TimeoutError | urllib3.exceptions.TimeoutError)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk what stands behind an error of requests, which keeps the reason in attributes as well as in its causes."""
    yield error
    inner = [argument for argument in (*error.args, getattr(error, "reason", None)) if isinstance(argument, Exception)]
    for cause in (error.__cause__, *inner):
        if cause is not None:
            yield from _causes(cause)
