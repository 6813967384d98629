"""Redaction by the real filter, with every awk that this machine has."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deploy import shell

AWKS = [name for name in ("mawk", "gawk") if shutil.which(name)]
WORDS = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")


def script(env_file: Path) -> str:
    return shell.script("redact.sh", env_file=str(env_file), secret_words=WORDS, secret_min_length=8) + "redact\n"


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
    return answer.stdout.decode()


@pytest.fixture(params=AWKS)
def awk(request: pytest.FixtureRequest) -> str:
    return str(request.param)


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
    for length in (4090, 8190, 70_000):
        shown = redact("A_KEY=abcdefgh\n", "x" * length + "abcdefgh" + "y" * length + "\n", tmp_path, awk)
        assert shown == "x" * length + "[A_KEY]" + "y" * length + "\n"


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
    assert run.stdout == notice * 2


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


def test_what_no_record_is_declared_to_have_counts_as_text(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").write_text("A_KEY=complete\n")
    told = redact_records(tmp_path / ".env", "container\ta\tb\tcomplete\nunknown\tcomplete\n", awk)
    assert told == ["container\ta\tb\t[A_KEY]", "unknown\t[A_KEY]"]


def test_facts_of_records_pass_where_the_env_file_cannot_be_read(tmp_path: Path, awk: str) -> None:
    (tmp_path / ".env").mkdir()
    notice = "(withheld: .env cannot be read, so secrets could not be removed)"
    told = redact_records(tmp_path / ".env", "log\ta\tb\nlog\ta\t\ncontainer\ta\tb\n", awk)
    assert told == [f"log\ta\t{notice}", "log\ta\t", "container\ta\tb"]


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
    (tmp_path / ".env").write_text("A_KEY=abcdefgh\n")
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
        assert not [text for text in seen if b"abcdefgh" in text]


def session(process: Path) -> int:
    try:
        return os.getsid(int(process.name))
    except OSError:
        return 0


def shown_by(process: Path) -> bytes:
    return (process / "cmdline").read_bytes() + (process / "environ").read_bytes()


NASTY = st.text(st.sampled_from("aZ09 \"'$&\\%@:/#=.*+?[](){}|^~`!<>;,-_\té中"), min_size=10, max_size=24)


def single_quoted(value: str) -> str:
    return f"'{value}'"


def double_quoted(value: str) -> str:
    for character in '\\"':
        value = value.replace(character, "\\" + character)
    return f'"{value.replace("$", "$$")}"'


@pytest.mark.parametrize("awk", AWKS)
@settings(max_examples=60, deadline=None)
@given(values=st.lists(NASTY, min_size=1, max_size=3), before=NASTY)
def test_no_secret_survives(awk: str, values: list[str], before: str) -> None:
    values = [value.strip() for value in values]
    assume(all(len(value) >= 8 for value in values))
    assume(not any(value in before or value in "[A_KEY]" for value in values))
    env, shown = "", ""
    for value in values:
        style = single_quoted if "'" not in value and "\\" not in value else double_quoted
        env += f"A_KEY={style(value)}\n"
        shown += f"{before}|{value}|{quote(value)}|{quote(value, safe='')}\n"
    with TemporaryDirectory() as folder:
        out = redact(env, shown, Path(folder), awk)
    assert len(out.splitlines()) == len(values)
    for value in values:
        for spelling in (value, quote(value), quote(value, safe="")):
            assert spelling not in out


@settings(max_examples=40, deadline=None)
@given(fields=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1))
def test_records_survive_the_way_from_bash(fields: list[str]) -> None:
    answer = subprocess.run(
        ["bash", "-c", shell.script() + "record " + " ".join(shlex.quote(field) for field in fields)],
        capture_output=True,
        check=True,
    )
    assert list(shell.records(answer.stdout.decode())) == [tuple(fields)]
