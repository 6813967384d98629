"""known_hosts files, as OpenSSH reads them."""

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.errors import Exit
from deploy.host.known_hosts import Key, UnknownKey, Verdict, about, judge, parse
from deploy.message import say

OURS, OTHER = Key("ssh-ed25519", b"ours"), Key("ssh-ed25519", b"other")
RSA = Key("ssh-rsa", b"rsa")


def line(names: str, key: Key = OURS, marker: str = "") -> str:
    return f"{marker} {names} {key.kind} {base64.b64encode(key.blob).decode()} comment".strip() + "\n"


def verdict(text: str, name: str = "prod.example.com", key: Key = OURS) -> Verdict:
    return judge(about(parse(text, "known_hosts"), name), key)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", Verdict.UNKNOWN, id="nothing known"),
        pytest.param(line("prod.example.com"), Verdict.KNOWN, id="known by its name"),
        pytest.param(line("10.0.0.1,prod.example.com"), Verdict.KNOWN, id="known by one of several names"),
        pytest.param(line("PROD.example.com"), Verdict.KNOWN, id="names have no case"),
        pytest.param(line("*.example.com"), Verdict.KNOWN, id="known by a pattern"),
        pytest.param(line("*.example.com,!prod.*"), Verdict.UNKNOWN, id="excepted from a pattern"),
        pytest.param(line("prod"), Verdict.UNKNOWN, id="another name"),
        pytest.param(line("[prod.example.com]:2222"), Verdict.UNKNOWN, id="another port"),
        pytest.param(line("prod.example.com", OTHER), Verdict.CHANGED, id="another key"),
        pytest.param(line("prod.example.com", RSA), Verdict.CHANGED, id="a key of another kind only"),
        pytest.param(line("prod.example.com", OTHER) + line("prod.example.com"), Verdict.KNOWN, id="one of two keys"),
        pytest.param(line("*", marker="@revoked") + line("prod.example.com"), Verdict.REVOKED, id="revoked"),
        pytest.param(line("*", OTHER, "@revoked") + line("prod.example.com"), Verdict.KNOWN, id="another is revoked"),
        pytest.param(line("*", OURS, "@cert-authority"), Verdict.UNKNOWN, id="an authority's key is no host key"),
        pytest.param("# prod\n\nprod.example.com\nprod.example.com ssh-rsa ???\n", Verdict.UNKNOWN, id="no entries"),
    ],
)
def test_verdict(text: str, expected: Verdict) -> None:
    assert verdict(text) == expected


def test_a_port_stands_in_brackets_and_brackets_are_no_pattern() -> None:
    assert verdict(line("[prod.example.com]:2222"), "[prod.example.com]:2222") == Verdict.KNOWN
    assert verdict(line("[prod.example.com]:2222"), "p:2222") == Verdict.UNKNOWN


def test_names_that_openssh_hashed_are_found(tmp_path: Path) -> None:
    file = tmp_path / "known_hosts"
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    kind, encoded = key.with_suffix(".pub").read_text().split()[:2]
    file.write_text(f"[prod.example.com]:2222 {kind} {encoded}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], check=True, capture_output=True)
    assert "prod" not in file.read_text()
    shown = Key(kind, base64.b64decode(encoded))
    assert verdict(file.read_text(), "[prod.example.com]:2222", shown) == Verdict.KNOWN
    assert verdict(file.read_text(), "prod.example.com", shown) == Verdict.UNKNOWN


def test_a_key_is_named_as_ssh_keygen_names_it(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    kind, encoded = key.with_suffix(".pub").read_text().split()[:2]
    told = subprocess.run(["ssh-keygen", "-l", "-f", str(key)], check=True, capture_output=True, text=True).stdout
    assert Key(kind, base64.b64decode(encoded)).fingerprint == f"ssh-ed25519 {told.split()[1]}"


def test_an_entry_tells_its_place() -> None:
    assert [entry.place for entry in parse("# first\n" + line("prod"), "known_hosts")] == ["known_hosts:2"]


ODD = st.sampled_from(
    ["|1|", "|1|YQ==|YQ==", "@revoked", "ssh-rsa", "YQ==", "YQ=", "é", "²", "*", "!", ",", "[", "\udcff", "\x1b", "\0"]
)


@settings(max_examples=100)
@given(lines=st.lists(st.lists(st.one_of(ODD, st.text(max_size=6)), max_size=5).map(" ".join), max_size=4))
def test_any_text_is_lines_about_a_host_or_passed_over(lines: list[str]) -> None:
    assert isinstance(verdict("\n".join(lines)), Verdict)


def test_a_key_in_other_letters_than_base64s_is_no_entry() -> None:
    assert verdict("prod.example.com ssh-ed25519 é\n" + line("prod.example.com")) is Verdict.KNOWN


@pytest.mark.parametrize("said", [None, "", line("other.example.com"), line("other.example.com").rstrip()])
def test_a_key_that_was_agreed_to_is_known_and_so_is_what_was(tmp_path: Path, said: str | None) -> None:
    file = tmp_path / "ssh" / "known_hosts"
    if said is not None:
        file.parent.mkdir()
        file.write_text(said)
    unknown = UnknownKey("[prod.example.com]:2222", OURS, file, say("unknown"), evidence=(), remedy=say("compare"))
    unknown.learn()
    assert unknown.code == Exit.REFUSED
    assert verdict(file.read_text(), "[prod.example.com]:2222") == Verdict.KNOWN
    assert not said or verdict(file.read_text(), "other.example.com") == Verdict.KNOWN
    assert file.stat().st_mode & 0o077 == 0 or said
