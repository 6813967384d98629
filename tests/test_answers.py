"""An answer of a host that is not understood: one Failure, whatever the answer is."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import answers, backups, runs, shell
from deploy.errors import Exit, Failure
from deploy.message import say
from deploy.report import Report
from deploy.state import kept, parse
from tests.texts import as_text


def test_an_odd_answer_is_a_failure_with_its_first_lines() -> None:
    with pytest.raises(Failure) as caught, answers.understood("one\n\ntwo\nthree\nfour\n", say("the host's history")):
        raise IndexError
    told = as_text(caught.value)
    assert (told.fact, told.evidence) == ("the host's history was not understood", ("one", "two", "three"))
    assert told.code == Exit.FAILED


def test_an_empty_answer_is_told_as_empty() -> None:
    with pytest.raises(Failure) as caught, answers.understood("", say("it")):
        raise ValueError
    assert as_text(caught.value).evidence == ("it is empty",)


def test_of_a_long_line_only_the_beginning_is_shown() -> None:
    assert answers.first_lines("x" * 40_000) == ("x" * 200 + "…",)


def test_a_failure_of_its_own_is_passed_on() -> None:
    with pytest.raises(Failure, match="the fact"), answers.understood("text", say("it")):
        raise Failure(say("the fact"))


KINDS = ("host", "env", "repository", "head", "container", "app", "database", "history", "probe", "end", "now", "id")
ODD = st.lists(st.lists(st.sampled_from(KINDS) | st.text(), min_size=1).map("\t".join)).map("\n".join)


@given(answer=ODD.map(lambda text: f"{text}\nend\n"))
def test_no_odd_answer_of_the_host_ends_a_reader_otherwise(answer: str) -> None:
    for read in (parse, backups.parse, lambda text: kept.history(shell.records(text))):
        try:
            with answers.understood(answer, say("it")):
                read(answer)
        except Failure:
            """One message."""


@pytest.mark.parametrize("field", ["\\q", "\\", "a\\x41", "\\\\n"])
def test_a_record_with_an_escape_that_nobody_writes_is_read(field: str) -> None:
    assert list(shell.records(f"{field}\n")) == [(field.replace("\\\\", "\\"),)]


class Odd:
    """A host whose journal is whatever it is."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    @contextmanager
    def stream(self, script: str, *, stdin: bytes) -> Iterator[Iterator[str]]:
        yield iter(self._lines)


WORDS = st.sampled_from([*runs.FIELDS, "1.5", "17", "0", "copy", "²", "1e9", "\\q", ""]) | st.text()
LINES = st.lists(st.lists(WORDS).map("\t".join).map(lambda text: text.replace("\n", "")))


@given(lines=LINES)
def test_no_odd_journal_ends_its_reader_or_the_report(lines: list[str]) -> None:
    with runs.follow(Odd(lines), {"path": "/", "env_file": "", "secret_words": (), "secret_min_length": 8}) as events:
        for event in events:
            assert len(event.fields) >= runs.FIELDS.get(event.kind, 0)
            Report().event(event)
