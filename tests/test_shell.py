"""Quoting, proved by really running the result in Bash, and the records that scripts answer in."""

import subprocess

from hypothesis import given
from hypothesis import strategies as st

from deploy import shell

# Everything that can be in a path, a branch or a service's name: all but NUL, and no lone surrogates.
words = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20) | st.sampled_from(
    ["a b", "it's", '"', "$HOME", "$(id)", "`id`", "a\nb", "\\", "*", "-n", "", "~", "!x", "鲸落", "&", "a\tb", ";"]
)


def bash(script: str) -> bytes:
    return subprocess.run(["bash", "-c", script], capture_output=True, check=True, stdin=subprocess.DEVNULL).stdout


@given(st.lists(words, min_size=1, max_size=5))
def test_a_command_reaches_the_program_word_for_word(arguments: list[str]) -> None:
    answer = bash(shell.sh("printf", "%s\\0", *arguments))
    assert answer.split(b"\0")[:-1] == [word.encode() for word in arguments]


@given(words)
def test_a_variable_holds_the_text_it_was_given(text: str) -> None:
    assert bash(shell.assign(name=text) + 'printf %s "$name"') == text.encode()


@given(st.lists(words, max_size=5))
def test_an_array_holds_the_words_it_was_given(array: list[str]) -> None:
    answer = bash(shell.assign(name=tuple(array)) + 'printf "%s\\0" "${name[@]}" | tail -c +1; echo "${#name[@]}"')
    assert answer.split(b"\0")[-1] == f"{len(array)}\n".encode()
    assert answer.split(b"\0")[: len(array)] == [word.encode() for word in array]


def test_true_is_one_and_false_is_nothing() -> None:
    assert shell.assign(yes=True, no=False, number=3) == "yes=1\nno=''\nnumber=3\n".replace("''", "")


@given(st.lists(st.lists(words, min_size=1, max_size=4), max_size=4))
def test_records_written_by_bash_are_read_as_they_were(rows: list[list[str]]) -> None:
    script = shell.source("common.sh") + "".join(shell.sh("record", *row) + "\n" for row in rows)
    assert list(shell.records(bash(script).decode())) == [tuple(row) for row in rows]


def test_a_record_that_was_cut_off_is_left_out() -> None:
    assert list(shell.records("a\tb\nc\td")) == [("a", "b")]
