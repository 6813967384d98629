"""Kinds and names of logs, and their lines merged by time."""

from datetime import datetime

import pytest

from deploy import logs
from deploy.errors import Exit, Failure
from deploy.logs import Entry, Merge
from deploy.message import Printed


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/log/supervisord.log", "supervisor"),
        ("/var/log/supervisor/web.log", "supervisor"),
        ("/var/log/nginx/shop_error.log", "nginx"),
        ("/app/userdata/logs/gunicorn_error.log", "server"),
        ("/var/log/uwsgi/shop.log", "server"),
        ("/app/logs/hypercorn.log", "server"),
        ("/app/userdata/logs/app.log", "app"),
        ("/srv/nginx-shop/logs/app.log", "app"),
    ],
)
def test_a_logs_kind_is_told_by_its_name_and_its_folder(path: str, kind: str) -> None:
    assert logs.kind_of(path, "hypercorn") == kind


def test_a_source_is_called_by_what_tells_it_apart() -> None:
    told = logs.names(("shop:", "shop:/logs/app.log", "shop:/logs/error.log", "worker:/logs/app.log", "run"))
    assert list(told.values()) == ["shop", "shop/app", "error", "worker/app", "run"]
    assert logs.names(("shop:/a/app.log", "shop:/b/app.log")) == {
        "shop:/a/app.log": "shop:/a/app.log",
        "shop:/b/app.log": "shop:/b/app.log",
    }


def lines(entries: tuple[Entry, ...]) -> list[str]:
    return [str(line) for entry in entries for line in entry.lines]


def merged(*given: tuple[str, float | None, str]) -> Merge:
    merge = Merge()
    for source, moment, line in given:
        merge.add(source, moment, Printed(line))
    return merge


def test_lines_are_merged_by_time_and_a_traceback_stays_with_its_line() -> None:
    merge = merged(("a", 1, "a1"), ("a", 3, "a3"), ("a", None, "Traceback"), ("a", None, "Error"), ("b", 2, "b2"))
    merge.add("b", 4, Printed("b4"))
    assert lines(merge.rest()) == ["a1", "b2", "a3", "Traceback", "Error", "b4"]


def test_a_source_keeps_its_own_order() -> None:
    assert lines(merged(("a", 5, "first"), ("a", 1, "second"), ("b", 2, "b")).rest()) == ["b", "first", "second"]


def test_a_line_waits_for_earlier_ones_of_others_and_for_what_goes_on_with_it() -> None:
    merge = merged(("a", 2, "a2"))
    assert lines(merge.due()) == []
    merge.add("b", 1, Printed("b1"))
    merge.add("a", None, Printed("goes on"))
    assert lines(merge.due()) == ["a2", "goes on"]
    merge.add("a", None, Printed("late"))
    merge.due()
    (late,) = merge.due()
    assert (late.lines, late.more, late.moment) == ([Printed("late")], True, 2)


def test_since_is_ago_or_a_time() -> None:
    assert (logs.since("90s"), logs.since("10m"), logs.since("2h"), logs.since("3d")) == (
        (90, None),
        (600, None),
        (7200, None),
        (259200, None),
    )
    assert logs.since("2026-07-02T10:00:00+00:00") == (None, 1782986400.0)
    assert logs.since("2026-07-02") == (None, datetime(2026, 7, 2).timestamp())


def test_what_is_no_time_and_no_expression_is_bad_usage() -> None:
    for read, text in ((logs.since, "yesterday"), (logs.since, "10"), (logs.pattern, "(")):
        with pytest.raises(Failure) as refused:
            read(text)
        assert refused.value.code == Exit.USAGE
