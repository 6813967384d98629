"""Which cases are measured, and what is told of them; what was measured is not asserted."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from deploy.errors import Failure
from tests.bench.bench import drawn, write
from tests.bench.cases import CASES, chosen
from tests.bench.figures import Request, Row, Sample, Side, Span
from tests.bench.sides import SIDES, spans
from tests.bench.table import latency_table, rows_table

ROW = Row("code", 5.04, 20.0, 0.252, 0, 42, 0.06, 3.0, 0.0301, 0.004, 3)


def sample(case: str, side: Side, rate: int = 20) -> Sample:
    met = (Request("nginx", 1, 0.004, True), Request("nginx", 11, 0.03, True), Request("nginx", 12, 0.004, False))
    return Sample(case, side, rate, 10, 13, met)


def cells(table: object, name: str) -> list[str]:
    console = Console(width=200)
    with console.capture() as shown:
        console.print(table)
    row = next(line for line in shown.get().splitlines() if name in line)
    return [cell.strip() for cell in row.strip("│ ").split("│")]


def test_the_file_is_a_list_of_rows_with_exactly_the_promised_keys(tmp_path: Path) -> None:
    write([ROW, Row("tree-bytes", wall_ratio=0.5, runs=1)], [], tmp_path / "rows.json", None)
    rows = json.loads((tmp_path / "rows.json").read_text())
    keys = [
        "case", "ours_s", "script_s", "wall_ratio", "failed_requests", "script_failed_requests", "longest_gap_s",
        "script_longest_gap_s", "slowest_request_s", "normal_request_s", "runs", "floor_s",
        "floor_ratio",
    ]  # fmt: skip
    assert [list(row) for row in rows] == [keys, keys]
    assert rows[1]["failed_requests"] is None


def test_without_a_choice_every_case_is_measured() -> None:
    assert chosen("", quick=False) == tuple(CASES)


def test_quick_measures_the_first_four() -> None:
    assert chosen("", quick=True) == ("nothing", "code", "migration", "container")


def test_some_cases_can_be_chosen_and_keep_their_order() -> None:
    assert chosen("tree,code", quick=False) == ("code", "tree")


def test_a_case_that_there_is_not_is_refused() -> None:
    with pytest.raises(Failure, match="there is no case"):
        chosen("cod", quick=False)


def test_the_table_shows_both_sides_and_their_ratio() -> None:
    told = ["code", "5.04 s", "20.00 s", "0.25", "4.03 s", "1.25", "0 / 42", "0.06 / 3.00 s", "30.1 ms", "4.0 ms", "3"]
    assert cells(rows_table([ROW.above(4.032)]), "code") == told


def test_a_figure_that_a_case_has_not_is_left_empty() -> None:
    assert cells(rows_table([Row("tree-bytes", wall_ratio=0.5)]), "tree-bytes")[1:7] == ["", "", "0.50", "", "", ""]


def test_the_latencies_are_told_for_each_side_rate_and_door() -> None:
    shown = cells(latency_table([sample("code", "ours", 200)]), "ours")
    assert shown == ["code", "ours", "200/s", "nginx", "2", "1", "4.0 ms", "30.0 ms", "30.0 ms"]


def test_an_update_of_code_is_drawn_at_the_lowest_rate() -> None:
    samples = [sample(case, side, rate) for case in ("nothing", "code") for rate in (200, 20) for side in SIDES[::-1]]
    assert [(one.case, one.side, one.rate) for one in drawn(samples)] == [("code", "ours", 20), ("code", "script", 20)]


def test_a_step_lasts_from_its_beginning_to_its_end_in_the_journal() -> None:
    journal = "9.5\tlocked\n10.0\tbegin\tsync\n10.1\tline\tsync\tHEAD is now at\n10.5\tend\tsync\t0\n11.0\tdone\tdone\n"
    assert spans(journal) == (Span("sync", 10.0, 10.5),)


def test_the_journal_of_an_earlier_run_has_no_step_of_this_one() -> None:
    assert spans("10.0\tbegin\tsync\n10.5\tend\tsync\t0\n", since=20) == ()
