"""Redaction by the real filter, with every awk that this machine has."""

import base64
import html
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deploy import shell
from deploy.message import MARK, Message, pack, say
from deploy.settings.model import Secrets
from deploy.wording import text
from tests.plain import plain, plain_bytes

AWKS = [name for name in ("mawk", "gawk") if shutil.which(name)]
# Of a line so much is looked at.
LONGEST = 65536


def script(env_file: Path) -> str:
    secrets = Secrets(keys=("FERNET",))
    told: dict[str, shell.Variable] = {
        "env_file": str(env_file),
        "secret_words": secrets.words,
        "secret_keys": secrets.keys,
        "secret_min_length": secrets.min_length,
    }
    return shell.script("redact.sh", **told) + "redact\n"


def environment(folder: Path, awk: str) -> dict[str, str]:
    """Make `awk` the one that is asked for."""
    (folder / "bin").mkdir(exist_ok=True)
    link = folder / "bin" / "awk"
    if not link.exists():
        link.symlink_to(str(shutil.which(awk)))
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def redact(env: str | bytes, text: str, folder: Path, awk: str) -> str:
    (folder / ".env").write_bytes(env if isinstance(env, bytes) else env.encode())
    answer = subprocess.run(
        ["bash", "-c", script(folder / ".env")],
        input=text.encode(),
        capture_output=True,
        check=True,
        env=environment(folder, awk),
    )
    assert answer.stderr == b""
    return plain(answer.stdout.decode())


@pytest.fixture(params=AWKS)
def awk(request: pytest.FixtureRequest) -> str:
    return str(request.param)


LONG = "".join(f"{number:05}" for number in range(160))


@pytest.mark.parametrize(
    ("env", "shown", "expected"),
    [
        pytest.param("DB_PASSWORD=abcdefgh", "x abcdefgh y", "x [DB_PASSWORD] y", id="a plain value"),
        pytest.param("db_password=abcdefgh", "abcdefgh", "[db_password]", id="a key in lower case"),
        pytest.param("DB_PASSWORD=abcdefgh\r", "abcdefgh", "[DB_PASSWORD]", id="Windows line ends"),
        pytest.param("\ufeffDB_PASSWORD=abcdefgh", "abcdefgh", "[DB_PASSWORD]", id="a byte order mark"),
        pytest.param("export  DB_PASSWORD = abcdefgh ", "abcdefgh", "[DB_PASSWORD]", id="export and spaces"),
        pytest.param("DB_PASSWORD: abcdefgh", "abcdefgh", "[DB_PASSWORD]", id="a colon"),
        pytest.param("DB_PASSWORD=abcdefgh # live", "abcdefgh", "[DB_PASSWORD]", id="an inline comment"),
        pytest.param("DB_PASSWORD='abc d#fgh' # live", "abc d#fgh", "[DB_PASSWORD]", id="a comment after quotes"),
        pytest.param('DB_PASSWORD="abcdefgh"', '"abcdefgh"', '"[DB_PASSWORD]"', id="double quotes"),
        pytest.param('DB_PASSWORD="abc\\"de\\$fgh"', 'abc"de$fgh', "[DB_PASSWORD]", id="escapes inside quotes"),
        pytest.param("DB_PASSWORD=abc$$defgh", "abc$defgh", "[DB_PASSWORD]", id="Compose's doubled dollar"),
        pytest.param("DB_PASSWORD=p@ss/wörd", "p%40ss%2Fw%C3%B6rd", "[DB_PASSWORD]", id="URL-encoded"),
        pytest.param("DB_PASSWORD=p%40ss%2Fword", "p@ss/word", "[DB_PASSWORD]", id="URL-decoded"),
        pytest.param("A_URL=redis://:abcdefgh@h:1/0", "auth abcdefgh", "auth [A_URL]", id="the password in a URL"),
        pytest.param("A_URL=db://u:ab%40cdefgh@h/d", "ab@cdefgh", "[A_URL]", id="the decoded password in a URL"),
        pytest.param("A_URL=db://u:ab@cdefgh@h/d", "ab@cdefgh", "[A_URL]", id="an @ in the password of a URL"),
        pytest.param('A_KEY="first line\nsecond line"', "x second line", "x [A_KEY]", id="a value of several lines"),
        pytest.param('A_KEY="first line\\nsecond line"', "second line", "[A_KEY]", id="a value with escaped newlines"),
        pytest.param("A_KEY=abc\\def\tghi", "abc\\\\def\\tghi", "[A_KEY]", id="escaped as in a record"),
        pytest.param('A_KEY="abcdefgh\nB_KEY=ijklmnop', "ijklmnop", "[B_KEY]", id="behind a quote that never closes"),
        pytest.param("A_KEY=abcdefgh\nB_KEY=abcdefghij", "abcdefghij", "[B_KEY]", id="the longer secret first"),
        pytest.param("A_KEY=abcdefgh\nA_KEY=ijklmnop", "abcdefgh ijklmnop", "[A_KEY] [A_KEY]", id="a key set twice"),
        pytest.param("A_KEY=B_PASSWORD\nB_PASSWORD=abcdefgh", "abcdefgh", "[B_PASSWORD]", id="a secret that is a key"),
        pytest.param("A_KEY=密码是中文", "看 密码是中文 看", "看 [A_KEY] 看", id="Chinese"),
        pytest.param("A_KEY=.*[a-z]+&\\1", "abc .*[a-z]+&\\1", "abc [A_KEY]", id="regular expressions"),
        pytest.param("NAME=db://u:abcdefgh@h/d", "abcdefgh", "[NAME]", id="the password in a URL, whatever its key"),
        pytest.param("NAME='db://u:ab$$cdefgh@h'", "ab$cdefgh", "[NAME]", id="a quoted URL, whatever its key"),
        pytest.param("DB_PASS=abcdefgh", "abcdefgh", "[DB_PASS]", id="PASS"),
        pytest.param("SENTRY_DSN=https://abcdefgh@h/1", "https://abcdefgh@h/1", "[SENTRY_DSN]", id="DSN"),
        pytest.param("MY_CREDS=abcdefgh", "abcdefgh", "[MY_CREDS]", id="CRED"),
        pytest.param("Fernet=abcdefgh", "abcdefgh", "[Fernet]", id="a key that the settings name"),
        pytest.param("", "db://ada:abcdefgh@h/d", "db://***@h/d", id="a URL's credentials that no file has"),
        pytest.param("", "https://abcdefgh@h/d git@h:x", "https://***@h/d git@h:x", id="a URL's token"),
        pytest.param("", "ssh://git@h/d see http://h:1/a@b", "ssh://git@h/d see http://h:1/a@b", id="no credentials"),
        pytest.param("A_KEY=abcdefghi", "Basic dTphYmNkZWZnaGk=", "Basic dTp[A_KEY]", id="base64"),
        pytest.param("A_KEY=p@ss/word", "p%40ss%2fword", "[A_KEY]", id="URL-encoded in lower case"),
        pytest.param("A_KEY=p<ss'word", "p&lt;ss&#39;word p&lt;ss&#x27;word", "[A_KEY] [A_KEY]", id="HTML"),
        pytest.param("A_KEY=pässwörd", "p\\u00e4ssw\\u00f6rd p\\xe4ssw\\xf6rd", "[A_KEY] [A_KEY]", id="JSON, Python"),
        pytest.param("A_KEY=abcdefgh", "6162636465666768", "[A_KEY]", id="hexadecimal"),
        pytest.param("A_KEY=" + LONG, LONG, "[A_KEY]" * 6, id="a long one by its parts"),
        pytest.param("A_KEY=abcdefg", "abcdefg", "abcdefg", id="too short to be a secret"),
        pytest.param("NAME=abcdefgh", "abcdefgh", "abcdefgh", id="not a secret's key"),
        pytest.param("", "a\\b 100% \t c", "a\\b 100% \t c", id="no secrets at all"),
    ],
)
def test_every_spelling_of_a_secret_is_replaced(tmp_path: Path, awk: str, env: str, shown: str, expected: str) -> None:
    assert redact(env + "\n", shown + "\n", tmp_path, awk) == expected + "\n"


def test_a_line_with_a_secret_half_encoded_is_withheld(tmp_path: Path, awk: str) -> None:
    shown = redact("A_KEY=p@ss/word\n", "see p%40ss/wor%64\n", tmp_path, awk)
    assert shown == "(withheld: a line with [A_KEY] in it)\n"


def test_a_secret_far_inside_a_very_long_line_is_replaced(tmp_path: Path, awk: str) -> None:
    for length in (4090, 8190, 30_000):
        shown = redact("A_KEY=abcdefgh\n", "x" * length + "abcdefgh" + "y" * length + "\n", tmp_path, awk)
        assert shown == "x" * length + "[A_KEY]" + "y" * length + "\n"


@pytest.mark.parametrize("before", range(LONGEST - 20, LONGEST + 4, 3))
def test_of_a_line_of_megabytes_the_rest_is_cut_off_and_no_part_of_a_secret_is_left(
    tmp_path: Path, awk: str, before: int
) -> None:
    shown = redact("A_KEY=abcdefghijkl\n", "x" * before + "abcdefghijkl" + "y" * 2_000_000 + "\nnext\n", tmp_path, awk)
    line, after = shown.splitlines()
    assert re.fullmatch(rf"x{{60000,}}(\[A_KEY)?… \(cut: longer than {LONGEST} bytes\)", line)
    assert after == "next"


def test_a_cut_leaves_characters_whole(tmp_path: Path, awk: str) -> None:
    for before in ("", "x", "xx"):
        assert "\ufffd" not in redact("A_KEY=abcdefghijkl\n", before + "密" * LONGEST + "\n", tmp_path, awk)


WORD = "A_KEY=requests\n"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (say("requests fail"), "requests fail"),
        (say("%s requests: %s", 3, "requests"), "3 requests: [A_KEY]"),
        (
            say("a: %s", say("requests of %s: %s", "requests", say("no requests"))),
            "a: requests of [A_KEY]: no requests",
        ),
        (say("%s: %s", ("a", "requests"), "b\\requests\t"), "a, [A_KEY]: b\\[A_KEY]\t"),
        (say("%s%s", "", f"x{MARK}requests\trequests"), f"x{MARK}[A_KEY]\t[A_KEY]"),
        (say("see %s", "reque%73ts"), "see (withheld: a line with [A_KEY] in it)"),
    ],
)
def test_of_a_message_the_values_are_cleaned_and_the_formats_stay(
    tmp_path: Path, awk: str, message: Message, expected: str
) -> None:
    assert redact(WORD, pack(message) + "\n", tmp_path, awk) == expected + "\n"


def test_a_mark_within_a_line_makes_no_message_of_it(tmp_path: Path, awk: str) -> None:
    assert redact(WORD, f"x{MARK}requests\ty\n", tmp_path, awk) == f"x{MARK}[A_KEY]\ty\n"


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["", "made-up-0123", "\\n", "\t", "x"]) | st.text(max_size=5).filter(str.isprintable),
        lambda value: st.builds(lambda *values: say("%s made-up-0123 %s", *values), value, value),
        max_leaves=6,
    ).map(lambda value: say("%s", value))
)
def test_a_message_is_cleaned_of_every_secret_in_its_values_and_of_nothing_else(message: Message) -> None:
    expected = text(message).replace("made-up-0123", "[A_KEY]")
    with TemporaryDirectory() as folder:
        shown = redact("A_KEY=made-up-0123\n", pack(message) + "\n", Path(folder), AWKS[0])
    assert shown.replace("made-up-0123", "[A_KEY]") == expected + "\n"
    assert shown.count("made-up-0123") == str(message).count(" made-up-0123 ")


@pytest.mark.parametrize("before", range(LONGEST - 40, LONGEST + 4, 5))
@pytest.mark.parametrize("nested", [False, True])
def test_of_a_message_of_megabytes_the_last_value_is_cut_off_and_no_part_of_a_secret_is_left(
    tmp_path: Path, awk: str, before: int, nested: bool
) -> None:
    long = "x" * before + "abcdefghijkl" + "y" * 2_000_000
    shown = redact(
        "A_KEY=abcdefghijkl\n", pack(say("%s: %s", "a", say("b %s", long) if nested else long)), tmp_path, awk
    )
    start = "a: b " if nested else "a: "
    assert re.fullmatch(rf"{start}x{{60000,}}(\[A_KEY)?… \(cut: longer than {LONGEST} bytes\)\n?", shown)


def test_of_a_message_the_formats_stay_where_the_env_file_cannot_be_read(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").mkdir()
    told = pack(say("worker %s left%s", "7", ""))
    run = subprocess.run(
        ["bash", "-c", script(tmp_path / ".env")],
        input=told.encode(),
        capture_output=True,
        check=True,
        env=environment(tmp_path, awk),
    )
    notice = "(withheld: .env cannot be read, so secrets could not be removed)"
    assert plain(run.stdout.decode()) == f"worker {notice} left\n"


def test_lines_pass_where_there_is_no_env_file(tmp_path: Path, awk: str) -> None:
    run = subprocess.run(
        ["bash", "-c", script(tmp_path / "none")],
        input=b"a\nb",
        capture_output=True,
        check=True,
        env=environment(tmp_path, awk),
    )
    assert run.stdout == b"a\nb\n"


def test_every_line_is_withheld_where_the_env_file_cannot_be_read(tmp_path: Path, awk: str) -> None:
    # A folder in the file's place cannot be read by anybody, root included.
    (tmp_path / ".env").mkdir()
    run = subprocess.run(
        ["bash", "-c", script(tmp_path / ".env")],
        input=b"a\nb\n",
        capture_output=True,
        check=True,
        env=environment(tmp_path, awk),
    )
    notice = b"(withheld: .env cannot be read, so secrets could not be removed)\n"
    assert plain_bytes(run.stdout) == notice * 2


FIELDS = ("log file line*", "container name status", "end")


def redact_records(env_file: Path, text: str, awk: str) -> list[str]:
    given = script(env_file).removesuffix("redact\n") + shell.assign(record_fields=FIELDS) + "redact_records\n"
    answer = subprocess.run(
        ["bash", "-c", given],
        input=text.encode(),
        capture_output=True,
        check=True,
        env=environment(env_file.parent, awk),
    )
    assert answer.stderr == b""
    return answer.stdout.decode().splitlines()


def test_facts_of_records_pass_whatever_the_secrets_are_and_texts_do_not(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text("A_KEY=complete\nB_KEY=container\nC_KEY=whalefall_prod\n")
    records = "container\twhalefall_prod\tcomplete\nlog\twhalefall_prod.log\tcomplete: container\nend\n"
    assert redact_records(tmp_path / ".env", records, awk) == [
        "container\twhalefall_prod\tcomplete",
        "log\twhalefall_prod.log\t[A_KEY]: [B_KEY]",
        "end",
    ]


def test_a_text_is_cleaned_as_it_is_and_not_as_a_record_escapes_it(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text("A_KEY=nabcdefg\nB_KEY='a\\b\tcdefg'\n")
    told = redact_records(tmp_path / ".env", "log\ta\t\\nabcdefg\\\\ a\\\\b\\tcdefg\\r\\t\n", awk)
    assert told == ["log\ta\t\\nabcdefg\\\\ [B_KEY]\\r\\t"]


def test_what_no_record_is_declared_to_have_counts_as_text(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text("A_KEY=complete\n")
    told = redact_records(tmp_path / ".env", "container\ta\tb\tcomplete\nunknown\tcomplete\n", awk)
    assert told == ["container\ta\tb\t[A_KEY]", "unknown\t[A_KEY]"]


def test_facts_of_records_pass_where_the_env_file_cannot_be_read(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").mkdir()
    notice = shell.record(pack(say("(withheld: %s cannot be read, so secrets could not be removed)", ".env")))
    told = redact_records(tmp_path / ".env", "log\ta\tb\nlog\ta\t\ncontainer\ta\tb\n", awk)
    assert told == [f"log\ta\t{notice}", "log\ta\t", "container\ta\tb"]


def test_a_message_in_a_record_is_cleaned_as_one(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text(WORD)
    told = redact_records(
        tmp_path / ".env", shell.record("log", "a", pack(say("requests: %s", "requests\\"))) + "\n", awk
    )
    assert told == [shell.record("log", "a", pack(say("requests: %s", "[A_KEY]\\")))]


def test_both_streams_of_a_command_are_cleaned_and_its_status_is_kept(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text("A_KEY=made-up-0123\n")
    command = "echo out made-up-0123; echo err made-up-0123 >&2; exit 3"
    given = script(tmp_path / ".env").removesuffix("redact\n") + shell.sh("redacted", "sh", "-c", command)
    ran = subprocess.run(["bash", "-c", given], capture_output=True, check=False, env=environment(tmp_path, awk))
    assert (ran.stdout, ran.stderr, ran.returncode) == (b"out [A_KEY]\n", b"err [A_KEY]\n", 3)


def test_lines_come_out_as_they_come_in(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text("A_KEY=abcdefgh\n")
    with subprocess.Popen(
        ["bash", "-c", script(tmp_path / ".env")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(tmp_path, awk),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3):
            process.stdin.write(b"abcdefgh\n")
            process.stdin.flush()
            # Without line-wise output this would wait for ever.
            assert process.stdout.readline() == b"[A_KEY]\n"


def test_no_process_shows_the_secret_to_ps(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text("A_KEY=made-up-0123\n")
    with subprocess.Popen(
        ["bash", "-c", script(tmp_path / ".env")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(tmp_path, awk),
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"up\n")
        process.stdin.flush()
        process.stdout.readline()
        seen = [shown_by(pid) for pid in Path("/proc").iterdir() if pid.name.isdigit() and session(pid) == process.pid]
        assert len(seen) >= 2
        assert not [text for text in seen if b"made-up-0123" in text]


def session(process: Path) -> int:
    try:
        return os.getsid(int(process.name))
    except OSError:
        return 0


def shown_by(process: Path) -> bytes:
    return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()


NASTY = st.text(st.sampled_from("aZ09 \"'$&\\%@:/#=.*+?[](){}|^~`!<>;,-_\té中😀"), min_size=10, max_size=24)


def single_quoted(value: str) -> str:
    return f"'{value}'"


def double_quoted(value: str) -> str:
    for character in '\\"':
        value = value.replace(character, "\\" + character)
    return f'"{value.replace("$", "$$")}"'


def as_html(value: str, quotes: Mapping[str, str]) -> str:
    return "".join({"&": "&amp;", "<": "&lt;", ">": "&gt;", **quotes}.get(letter, letter) for letter in value)


def in_html_json(value: str) -> str:
    return "".join(f"\\u{ord(letter):04x}" if letter in "<>&'" else letter for letter in json.dumps(value)[1:-1])


def lower(quoted: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), quoted)


# How programs write a text.
ENCODINGS: tuple[Callable[[str], str], ...] = (
    str,
    quote,
    lambda value: quote(value, safe=""),
    quote_plus,
    lambda value: lower(quote(value)),
    lambda value: lower(quote_plus(value)),
    html.escape,
    lambda value: as_html(value, {'"': "&#34;", "'": "&#39;"}),
    lambda value: as_html(value, {}),
    lambda value: json.dumps(value)[1:-1],
    lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    in_html_json,
    lambda value: repr(value)[1:-1],
    lambda value: ascii(value)[1:-1],
    lambda value: repr(value.encode())[2:-1],
    lambda value: value.encode().hex(),
    lambda value: value.encode().hex().upper(),
)


def in_base64(value: str, before: str, alphabet: bytes) -> tuple[str, str]:
    """A text with the value in it, encoded, and that part of it which the value alone decides."""
    encoded = base64.b64encode(f"{before}{value}!".encode(), alphabet).decode()
    begin, end = 8 * len(before.encode()), 8 * len(f"{before}{value}".encode())
    return encoded, encoded[-(-begin // 6) : end // 6]


@pytest.mark.parametrize("awk", AWKS)
@settings(max_examples=25, deadline=None)
@given(values=st.lists(NASTY, min_size=1, max_size=6), before=st.text("abc:", max_size=5))
def test_no_secret_survives_in_any_encoding(awk: str, values: list[str], before: str) -> None:
    values = [value.strip() for value in values]
    assume(all(len(value) >= 8 for value in values))
    env, lines, decided = "", [], []
    for value in values:
        style = single_quoted if "'" not in value and "\\" not in value else double_quoted
        env += f"A_KEY={style(value)}\n"
        for encode in ENCODINGS:
            decided.append(encode(value))
            lines.append(f"{before}|{decided[-1]}|")
        for alphabet in (b"+/", b"-_"):
            line, part = in_base64(value, before, alphabet)
            lines.append(line)
            decided.append(part)
    with TemporaryDirectory() as folder:
        out = redact(env, "".join(f"{line}\n" for line in lines), Path(folder), awk)
    assert len(out.split("\n")[:-1]) == len(lines)
    assert [part for part in decided if part in out] == []


def cost(folder: Path, awk: str, text: bytes, program: str = "") -> float:
    """The processor's seconds that the filter takes for a text, or another program of the same awk."""
    (folder / ".env").write_text("A_KEY=abcdefgh\nB_TOKEN=0123456789abcdef\nC_PASS='p@ss \"word'\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        ["bash", "-c", program or script(folder / ".env")],
        input=text,
        stdout=subprocess.DEVNULL,
        check=True,
        env=environment(folder, awk),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


ORDINARY = b"2026-01-01 12:00:00 INFO the worker 4711 has answered /api/v1/health in 12 ms\n"


def test_output_costs_little_more_than_to_pass_it_on_line_by_line(tmp_path: Path, awk: str) -> None:
    text = ORDINARY * 100_000
    assert cost(tmp_path, awk, text) < 15 * cost(tmp_path, awk, text, "awk '{print; fflush()}'")


@pytest.mark.parametrize("unit", [b"abcdefgh", b"\\", b"%41", b"&amp;", b"x"])
def test_twice_as_long_a_line_costs_about_twice_as_much(tmp_path: Path, awk: str, unit: bytes) -> None:
    once = unit * (3_000_000 // len(unit))
    assert cost(tmp_path, awk, once * 2 + b"\n") < 4 * cost(tmp_path, awk, once + b"\n")


@pytest.mark.parametrize("unit", [b"abcdefgh", b"\\", b"%41", b"&amp;", b"x"])
def test_text_costs_as_much_in_long_lines_as_in_short_ones(tmp_path: Path, awk: str, unit: bytes) -> None:
    short, long = unit * (500 // len(unit)) + b"\n", unit * (50_000 // len(unit)) + b"\n"
    assert cost(tmp_path, awk, long * 10) < 4 * cost(tmp_path, awk, short * 1000)


@settings(max_examples=40, deadline=None)
@given(fields=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_records_survive_the_way_from_bash(fields: list[str]) -> None:
    answer = subprocess.run(
        ["bash", "-c", shell.script() + "record " + " ".join(shlex.quote(field) for field in fields)],
        capture_output=True,
        check=True,
    )
    assert list(shell.records(answer.stdout.decode())) == [tuple(fields)]
