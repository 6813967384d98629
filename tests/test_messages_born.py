"""Every message of a script or of the program in the container is born as a format and its values."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import causes, message, shell
from deploy.inside import message as inside
from deploy.message import Message, pack, say
from tests.shell_words import calls, literal, quoted, without_comments
from tests.test_words import PROSE, formats, miscounted, places, prose
from tests.test_words import calls as python_calls

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
SCRIPTS = {
    str(file.relative_to(DEPLOY)): without_comments(file.read_text(encoding="utf-8"))
    for folder in ("scripts", "steps")
    for file in sorted((DEPLOY / folder).rglob("*.sh"))
}
# Functions that are given a format and its values, by the number of words before it; they pass it on to `say`.
FORWARD = {"or_say": 1, "counted": 1, "leave_alone": 0}
FORWARDING = {
    "scripts/common.sh": FORWARD,
    "scripts/containers.sh": FORWARD,
    "steps/sync.sh": FORWARD,
    "steps/restart.sh": {**FORWARD, "give_up": 0},
}
# In these functions a format has a name.
FORWARDED = {'"$@"', '"$2"', '"$3"'}
# What psql, git, awk, grep and other shells read, and what is compared.
FOR_PROGRAMS = re.compile(
    r"^\W*(select|set|drop|create|revoke|grant|with|locale_provider) |version_num|not null|materialized view|SS TZ"
    r"|alembic_version|alter table|cannot lock ref|lock timeout|remote ref|dubious ownership"
    r"|^.1205|is locked|^.(pragma|kill|set session|do coalesce)|query_only"
    r"|mysqldump|command -v|Dump completed|CREATE TABLE"
    r"|\bexec |END \{|\{print |git -C |git clone |\{\{with |control start"
)
KEYS = {
    "work tree",
    "protected paths",
    "line endings",
    "running release",
    "database revision",
    "inv restore --backup  --target ",
}
# A command, and the message of a commit, which git keeps.
KEYS |= {"inv restore --backup  --target ", "Saved by hot update  before  went to "}
# What programs, other scripts and Python are told.
PRINTED = {"ssh", "root", "HEAD", "branch", "other", "names", "-v", "'%s/backups'", "'%s/hot-update'", "'sudo '"}
PRINTED |= {"'runuser -u %s -- '", "'sudo -u %s '", "':100644 D\\0%s\\0'", '"%s%s %s %.1f",'}
PRINTED |= {"'db_revision\\t%s\\n'", "'memory\\t%s\\n'", "'image\\t%s\\n'", '"%.2f\\n",'}
PRINTED |= {"host", "'PGAPPNAME=hot-update %s\\n%s\\n\\n'"}
PRINTED |= {"-W", "interactive", "'%s%09dZ'"}
PRINTED |= {rf"'%s\x1f{more}\n'" for more in (r"\x1f", r"\x1f-", r"%s\x1f%s", r"%s\x1f-")}
PRINTED |= {"'memory\\t%s\\t%s\\n'", "./index.html"}
# How a built folder is, for the plan.
PRINTED |= {"none", "same", "younger", "other", "older", "'%s/built/%s'"}
# What an event tells by itself.
CODES = {"refused", "lock", "start", "done", "changed", "locked", "0", "1", "124", "143"}
# Nobody reads what it says by itself: it is started with no one to follow it.
DETACHED = ("standby.py",)


def said() -> Iterator[tuple[str, int, str, list[str]]]:
    """Give every call of `say` and of those that forward to it: where, which, and its words from the format on."""
    for name, source in SCRIPTS.items():
        told = {"say": 0, **FORWARDING.get(name, FORWARD)}
        for line, function, words in calls(source, *told):
            yield name, line, function, words[told[function] :]


def formats_of(function: str, words: list[str]) -> list[str]:
    given = words if function in ("counted", "or_say") else words[:1]
    return [word for word in given if word not in FORWARDED]


def test_a_format_in_a_script_is_a_literal_in_single_quotes() -> None:
    wrong = [
        f"{name}:{line} {format}"
        for name, line, function, words in said()
        for format in formats_of(function, words) or ([] if words[:1] and words[0] in FORWARDED else ["nothing"])
        if not re.fullmatch("'[^'\\\\\t]+'", format)
    ]
    assert wrong == []
    assert sum(1 for _ in said()) > 120


def test_a_format_in_a_script_has_a_place_for_each_value() -> None:
    wrong = []
    for name, line, function, (format, *values) in said():
        if function == "counted":
            fits = places(format) == 1 and all(places(other) == 1 for other in values)
        else:
            spread = format in FORWARDED or format == "','" or any('[@]}"' in value for value in values)
            fits = spread or places(format) == (0 if function == "or_say" else len(values))
        wrong += [] if fits else [f"{name}:{line} {format}"]
    assert wrong == []


def test_no_value_in_a_script_spells_out_words() -> None:
    wrong = [
        f"{name}:{line} {value}"
        for name, line, function, words in said()
        if function not in ("or_say", "counted")
        for value in words[1:]
        if PROSE.search(literal(value)) and literal(value).strip('"') not in KEYS
    ]
    assert wrong == []


def test_no_words_in_a_script_are_left_outside_of_messages() -> None:
    born = {format for _, _, function, words in said() for format in formats_of(function, words)}
    wrong = [
        f"{name}: {text}"
        for name, source in SCRIPTS.items()
        for text in map(literal, quoted(re.sub(r"<<'SQL'.*?^SQL$", "", source, flags=re.DOTALL | re.MULTILINE)))
        if PROSE.search(text) and "\n" not in text and text not in born
        if not FOR_PROGRAMS.search(text) and text.strip("'\"") not in KEYS
    ]
    assert wrong == []


def test_what_a_script_prints_by_itself_is_no_word_of_ours() -> None:
    printed = {
        (name, word)
        for name, source in SCRIPTS.items()
        for _, function, words in calls(source, "echo", "printf")
        for word in (words[:1] if function == "printf" else words)
        if re.search("[A-Za-z]", re.sub(r"%[0-9]*[a-z]|\\[a-z0]", "", literal(word)))
    }
    assert {word for _, word in printed} - PRINTED == set()


def test_an_event_tells_words_of_ours_as_messages() -> None:
    wrong = [
        f"{name}:{line} {word}"
        for name, source in SCRIPTS.items()
        for line, _, (_, *fields) in calls(source, "event")
        for word in fields
        if "$" not in word and word.strip("'") not in CODES
    ]
    assert wrong == []


def test_the_redaction_makes_its_messages_as_say_does() -> None:
    withheld = re.findall(r'"(\(withheld|%s…)', SCRIPTS["scripts/redact.sh"])
    assert len(withheld) == len(re.findall(r'said\("(\(withheld|%s…)', SCRIPTS["scripts/redact.sh"])) == 3


def test_every_cause_that_is_known_by_its_format_is_said_by_a_script() -> None:
    born = {format.strip("'") for _, _, function, words in said() for format in formats_of(function, words)}
    assert set(causes.SAID) <= born


PROGRAM = [
    (file.name, ast.parse(file.read_text(encoding="utf-8")))
    for file in sorted((DEPLOY / "inside").glob("*.py"))
    if file.name not in (*DETACHED, "__init__.py", "message.py")
]
MAKERS = ("say", "message", "counted", "ExpectedError")


def test_a_format_in_the_program_is_a_literal_with_a_place_for_each_value() -> None:
    made = [(name, call) for name, tree in PROGRAM for call in python_calls(tree, *MAKERS)]
    lists = [call for _, call in made if isinstance(call.args[0], ast.Name) and call.args[0].id == "LIST"]
    assert [f"{name}:{call.lineno}" for name, call in made if call not in lists and miscounted(call)] == []
    told = [str(one.value) for _, call in made for one in formats(call) if isinstance(one, ast.Constant)]
    assert [format for format in told if not format.isprintable() or "\\" in format] == []
    assert len(told) > 70


def test_no_words_in_the_program_are_left_outside_of_messages() -> None:
    wrong = [
        f"{name}:{found.lineno} {found.value!r}"
        for name, tree in PROGRAM
        for found in prose(tree)
        if "import " not in str(found.value)
    ]
    assert wrong == []


@pytest.fixture(scope="module")
def in_bash() -> Iterator["subprocess.Popen[bytes]"]:
    """A shell that says what it is given: the number of words, then each with a NUL after it."""
    loop = """
    while IFS= read -r -d '' count; do
      told=()
      for ((; count; count--)); do IFS= read -r -d '' word; told+=("$word"); done
      say "${told[@]}"
    done"""
    command = ["bash", "-c", shell.script() + loop]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process


VALUES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=9), max_size=4)


@settings(max_examples=300)
@given(VALUES, VALUES)
def test_python_bash_and_the_program_pack_alike(
    in_bash: "subprocess.Popen[bytes]", values: list[str], more: list[str]
) -> None:
    nested = pack(say("a %s b", *more))
    packed = pack(Message("%s: %s", (*values, say("a %s b", *more))))
    assert inside.message("%s: %s", *values, inside.message("a %s b", *more)) == packed
    assert in_bash.stdin
    assert in_bash.stdout
    words = ["%s: %s", *values, nested]
    in_bash.stdin.write("".join(f"{word}\0" for word in (str(len(words)), *words)).encode())
    in_bash.stdin.flush()
    assert in_bash.stdout.readline() == f"{packed}\n".encode()


def test_the_signs_of_messages_are_the_same_everywhere() -> None:
    assert (inside.MARK, inside.LIST) == (message.MARK, message.LIST)
    assert inside.message("a") == pack(say("a"))
