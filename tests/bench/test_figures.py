"""What is made of the requests and the wall times."""

import pytest

from tests.bench.figures import Request, Sample, Side, against, compared, longest_gap, quantile


def request(at: float, seconds: float = 0.01, *, good: bool = True, door: str = "nginx") -> Request:
    return Request(door, at, seconds, good)


def sample(side: Side, wall: float, *requests: Request) -> Sample:
    """An update that began at 100, with a good request before it and one right after it."""
    return Sample("code", side, 20, 100, 100 + wall, (request(99), *requests, request(100 + wall)))


def test_a_row_has_the_medians_of_the_wall_times_and_their_ratio() -> None:
    ours, script = [sample("ours", wall) for wall in (4, 5, 9)], [sample("script", wall) for wall in (20, 20, 21)]
    row = compared([*ours, *script])
    assert (row.ours_s, row.script_s, row.wall_ratio, row.runs) == (5, 20, 0.25, 3)


def test_a_row_sums_the_failed_requests_of_every_run() -> None:
    failed = request(101, good=False)
    row = compared([sample("ours", 5, failed), sample("ours", 5, failed, failed), sample("script", 5)])
    assert (row.failed_requests, row.script_failed_requests) == (3, 0)


def test_a_row_has_the_slowest_request_of_all_runs_and_the_normal_one_before_them() -> None:
    row = compared([sample("ours", 5, request(101, 0.2)), sample("ours", 5, request(101, 0.3)), sample("script", 5)])
    assert (row.slowest_request_s, row.normal_request_s) == (0.3, 0.01)


def test_a_request_that_is_under_way_when_the_update_begins_is_one_that_the_update_meets() -> None:
    assert sample("ours", 5, request(99.9, 3, good=False)).failed == 1


def test_a_request_that_failed_before_the_update_is_none_of_its() -> None:
    assert sample("ours", 5, request(98, good=False)).failed == 0


def test_the_longest_gap_lies_between_two_good_answers() -> None:
    assert longest_gap(0, [request(at, 0) for at in (1, 2, 6, 7)], 8) == 4


def test_failed_requests_do_not_end_a_gap() -> None:
    assert longest_gap(0, [request(1, 0), request(3, 0, good=False), request(6, 0)], 7) == 5


def test_without_a_good_answer_the_gap_lasts_all_the_time() -> None:
    assert longest_gap(3, [], 8) == 5


def test_the_gap_of_an_update_is_that_of_the_door_that_was_closed_longer() -> None:
    opened = [request(100 + tenth / 10, 0, door="direct") for tenth in range(51)]
    assert sample("ours", 5, *opened).gap == pytest.approx(5.01)


def test_a_quantile_is_one_of_the_values() -> None:
    assert [quantile(range(1, 201), share) for share in (0.5, 0.99, 1)] == [100, 198, 200]


def test_a_time_is_set_against_its_yardstick() -> None:
    row = against("tree", [8, 6, 7], [4, 3.5, 3])
    assert (row.ours_s, row.script_s, row.wall_ratio, row.failed_requests) == (7, 3.5, 2, None)
