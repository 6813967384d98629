"""The statistics and the table of inv bench; what it measures is not asserted."""

from rich.console import Console

from tests.bench.bench import CASES, SIDES, Row, Sample, longest_gap, summarize, table


def sample(side: str, wall: float, failed: int = 0, gap: float = 0.05, case: str = "code") -> Sample:
    return Sample(case, side, wall, 100, failed, gap)


def test_a_row_has_the_medians_of_each_side() -> None:
    ours = [sample("ours", 9, 10, 1.0), sample("ours", 10, 20, 2.0), sample("ours", 50, 99, 9.0)]
    script = [sample("script", 20, 40, 3.0), sample("script", 21, 42, 3.2), sample("script", 19, 44, 3.1)]
    assert summarize(ours + script) == (Row("code", (10, 20), (20, 42), (2.0, 3.1)),)


def test_cases_keep_the_order_in_which_they_were_measured() -> None:
    measured = [sample(side, 1, case=case) for case in CASES for side in SIDES]
    assert [row.case for row in summarize(measured)] == ["code", "migration", "nothing"]


def test_the_ratio_is_below_one_where_the_hot_update_is_faster() -> None:
    assert Row("code", (5, 20), (0, 0), (0, 0)).ratio == 0.25


def test_the_longest_gap_lies_between_two_good_answers() -> None:
    assert longest_gap(0, [1, 2, 6, 7], 8) == 4


def test_a_client_without_a_good_answer_had_none_all_the_time() -> None:
    assert longest_gap(3, [], 8) == 5


def test_answers_after_the_update_do_not_count() -> None:
    assert longest_gap(0, [1, 9], 3) == 2


def test_the_table_shows_both_sides_and_their_ratio() -> None:
    console = Console(width=80)
    with console.capture() as shown:
        console.print(table([Row("migration", (9.96, 19.9), (42, 42.5), (3, 13.25))]))
    row = next(line for line in shown.get().splitlines() if "migration" in line)
    cells = [cell.strip() for cell in row.strip("│ ").split("│")]
    assert cells == ["migration", "10.0 s", "19.9 s", "0.50", "42 / 42.5", "3.00 / 13.25 s"]
