"""What is told of the requests that were sent during an update."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event

from deploy.host import Disconnected
from deploy.message import say
from deploy.probe import Probe, Request, summary, wanted
from deploy.settings import Check
from deploy.settings.model import Probe as Setting
from deploy.state import Probed
from deploy.wording import text
from tests.build import SETTINGS


def good(began: float, ended: float) -> Request:
    return Request(began, ended, good=True)


def bad(began: float, ended: float) -> Request:
    return Request(began, ended, good=False)


def test_good_answers_alone_have_only_the_gaps_between_them() -> None:
    requests = [good(0.0, 0.01), good(0.1, 0.13), good(0.2, 0.21)]
    assert summary(requests) == Probed(requests=3, failed=0, longest_gap_s=0.12, slowest_request_s=0.03)


def test_a_gap_lasts_from_the_last_good_answer_to_the_next_one() -> None:
    requests = [good(0.0, 0.1), bad(1.0, 1.1), bad(2.0, 2.1), good(3.0, 3.1), good(3.2, 3.3)]
    assert summary(requests) == Probed(requests=5, failed=2, longest_gap_s=3.0, slowest_request_s=0.1)


def test_a_gap_at_the_end_counts() -> None:
    assert summary([good(0.0, 0.1), bad(1.0, 4.1)]).longest_gap_s == 4.0


def test_without_any_good_answer_the_whole_time_is_a_gap() -> None:
    assert summary([bad(1.0, 1.5), bad(2.0, 2.5)]) == Probed(2, 2, 1.5, 0.5)


def test_without_requests_nothing_was_met() -> None:
    assert summary([]) == Probed(0, 0, 0.0, 0.0)


def test_it_is_told_in_one_line() -> None:
    told = text(Probed(requests=312, failed=2, longest_gap_s=0.131, slowest_request_s=0.02).told)
    assert told == "2 of 312 requests failed, longest gap 0.13 s, slowest request 0.02 s"


def test_a_probe_that_could_not_ask_does_not_tell_of_no_failed_request() -> None:
    assert text(summary([]).told) == "nothing could be asked"


def asking(*answers: bool | Exception) -> tuple[Callable[[], bool], Event]:
    """Give the answers in turn, then hang; the event tells that they are used up."""
    left, used = list(answers), Event()

    def ask() -> bool:
        if not left:
            used.set()
            Event().wait()
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask, used


def test_every_answer_is_counted_and_a_request_without_one_is_not_waited_for() -> None:
    ask, used = asking(True, False, True)
    probe = Probe({"url": ask}, per_second=1000)
    used.wait()
    found = probe.end()
    assert (found.requests, found.failed) == (3, 1)


def test_a_lost_connection_says_nothing_of_production() -> None:
    ask, used = asking(True, Disconnected(say("lost")), True)
    probe = Probe({"url": ask}, per_second=1000)
    used.wait()
    found = probe.end()
    assert (found.requests, found.failed) == (2, 0)


def test_the_first_health_check_is_asked_by_default() -> None:
    assert wanted(SETTINGS) == SETTINGS.health.checks[:1]


def test_the_urls_of_the_settings_are_asked_instead() -> None:
    settings = replace(SETTINGS, probe=Setting(url="http://localhost:8080/shop/?page=1 http://localhost"))
    assert wanted(settings) == (
        Check(name="probe", url="http://localhost:8080", paths=("/shop/?page=1",)),
        Check(name="probe", url="http://localhost", paths=("/",)),
    )


def test_several_urls_are_told_each_and_together() -> None:
    (one, first), (other, second) = asking(True, True), asking(False)
    probe = Probe({"a": one, "b": other}, per_second=1000)
    first.wait()
    second.wait()
    found = probe.end()
    assert (found.requests, found.failed) == (3, 1)
    assert {url: met.failed for url, met in probe.each().items()} == {"a": 0, "b": 1}


def test_the_longest_wait_for_a_lock_is_told() -> None:
    ask, used = asking(True)
    told = Event()

    def waits() -> Iterator[float]:
        yield from (0.0, 2.9, 0.1)
        told.set()
        Event().wait()

    probe = Probe({"url": ask}, per_second=1000, waits=waits)
    used.wait()
    told.wait()
    found = probe.end()
    assert found.longest_lock_wait_s == 2.9
    assert text(found.told).endswith(", longest wait for a lock 2.90 s")
