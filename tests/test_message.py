"""A message keeps its format and its values on every way, and becomes text in one place."""

import pytest

from deploy import shell
from deploy.message import Message, Printed, Told, counted, pack, say, unpack
from deploy.wording import text

MESSAGES = {
    "no value": say("the app does not answer as it should"),
    "values with every character that a record escapes": say("%s: %s", "a\tb\\", "c\nd\r"),
    "a message in a message": say("not done: %s", say("%s changed since", "gunicorn.conf.py\t")),
    "a list": say("%s changed", ("a", "b\t", say("%s more", "3"))),
    "an empty value": say("exit status %s", ""),
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_message_comes_out_of_a_field_as_it_went_in(message: Message) -> None:
    assert unpack(pack(message)) == message


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_a_packed_message_is_one_line_and_fits_into_a_record(message: Message) -> None:
    assert "\n" not in pack(message)
    assert shell.fields(shell.record("line", pack(message))) == ("line", pack(message))


def test_what_a_program_printed_is_no_message() -> None:
    assert unpack("fatal: 100% wrong") == Printed("fatal: 100% wrong")
    assert text(Printed("100%s wrong")) == "100%s wrong"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (say("worker %s answers (%s) after %s s", 7, "200", "1.5"), "worker 7 answers (200) after 1.5 s"),
        (say("%s of 100%% used", 80), "80 of 100% used"),
        (say("not done: %s", say("%s changed", ("a", "b"))), "not done: a, b changed"),
        (say("%s has %s", "%s"), "%s has "),
        (counted(1, "%s commit", "%s commits"), "1 commit"),
        (counted(2, "%s commit", "%s commits"), "2 commits"),
    ],
)
def test_the_values_stand_where_the_format_has_its_places(told: Told, expected: str) -> None:
    assert text(told) == expected
