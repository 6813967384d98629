"""The dumps as the host tells them: which one is meant, how old and how large it is."""

import pytest

from deploy import backups
from deploy.backups import Backup, Backups
from deploy.errors import Exit, Failure
from tests.texts import as_text

NEW = Backup("20260102T000000-abcd", 1000, 50762, ("20251224134000",), "1" * 40)
OLD = Backup("20260101T000000-abcd", 500, 1, (), "")
BOTH = Backups("/backups", 1060, (NEW, OLD))


def test_the_host_s_answer_becomes_values() -> None:
    about = {NEW: ("20251224134000", "1" * 40), OLD: ("", "")}
    lines = [
        f"about\t{dump.id}\t{name}\t{value}\n"
        for dump, (revision, code) in about.items()
        for name, value in {
            "run": dump.id,
            "revision": revision,
            "code": code,
            "bytes": str(dump.bytes),
            "time": str(dump.made),
        }.items()
    ]
    assert backups.parse("now\t1060\t/backups\n" + "".join(lines)) == BOTH


def test_no_dumps_are_no_failure_to_list_but_an_answer_cut_off_is() -> None:
    assert backups.parse("now\t1060\t/backups\n") == Backups("/backups", 1060, ())
    with pytest.raises(Failure):
        backups.parse("")


def test_without_an_id_the_newest_is_meant() -> None:
    assert BOTH.find("", "prod") == NEW
    assert BOTH.find(OLD.id, "prod") == OLD


def test_an_unknown_id_is_a_usage_error_that_names_those_that_exist() -> None:
    with pytest.raises(Failure) as raised:
        BOTH.find("20250101T000000-abcd", "prod")
    assert raised.value.code == Exit.USAGE
    assert as_text(raised.value.remedy) == f"there are: {NEW.id}, {OLD.id}"


def test_where_there_is_no_dump_nothing_can_be_restored() -> None:
    with pytest.raises(Failure) as raised:
        Backups("/backups", 0, ()).find("20250101T000000-abcd", "prod")
    assert (raised.value.code, as_text(raised.value.fact)) == (Exit.REFUSED, "there is no backup in /backups")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-3, "0 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (86400 * 9, "9 days")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: int, told: str) -> None:
    assert as_text(backups.age(seconds)) == told


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 bytes"), (50762, "49.6 KiB"), (1536 * 1024, "1.5 MiB"), (5 << 40, "5120.0 GiB")]
)
def test_a_size_is_told_in_the_largest_unit_that_it_fills(number: int, told: str) -> None:
    assert as_text(backups.size(number)) == told
