"""How each finding about the laptop is judged."""

import base64
import socket
from pathlib import Path

import pytest

from deploy.host import known_hosts
from deploy.host.authentication import KeyFile
from deploy.message import Printed, say
from deploy.plan import Finding
from deploy.settings import Git, Settings, Target
from deploy.verbs import doctor
from tests.texts import as_text

LABEL = Printed("me@prod:22")


def judged(finding: Finding) -> tuple[str, str]:
    return finding.level, as_text(finding.evidence)


@pytest.mark.parametrize(
    ("version", "bounds", "expected"),
    [
        ("2.2.1", ">=2.2,<3", True),
        ("2.2", ">=2.2.0,<3", True),
        ("2.10.0", ">=2.2,<3", True),
        ("2.1.9", ">=2.2,<3", False),
        ("3.0.0", ">=2.2,<3", False),
        ("3.0rc1", ">=2.2,<3", False),
        ("3.11.2", ">=3.11", True),
        ("3.9.18", ">=3.11", False),
        ("1", "", True),
    ],
)
def test_a_version_is_compared_by_its_numbers(version: str, bounds: str, expected: bool) -> None:
    assert doctor.within(version, bounds) is expected


def test_each_package_that_is_another_one_is_named() -> None:
    there = {"fabric": ("3.2.3", ">=3.2.2,<4"), "paramiko": ("2.12.0", ">=3.4,<6"), "rich": ("", ">=13.7,<16")}
    finding = doctor.packages_are(there, Path("/project"))
    assert judged(finding) == (
        "refusal",
        "paramiko 2.12.0 (pyproject.toml wants >=3.4,<6), rich is missing (pyproject.toml wants >=13.7,<16)",
    )
    assert as_text(finding.remedy).endswith(" -m pip install -e /project")
    assert judged(doctor.packages_are({"fabric": there["fabric"]}, Path("/project"))) == ("ok", "fabric 3.2.3")


def test_a_python_that_is_too_old_is_told() -> None:
    assert doctor.python_is("3.10.4", ">=3.11").level == "refusal"
    assert doctor.python_is("3.13.0", ">=3.11").level == "ok"


def test_an_output_that_shows_no_chinese_is_told() -> None:
    assert judged(doctor.locale_is("utf-8", say("no terminal"), "zh")) == ("ok", "UTF-8, no terminal, lang: zh")
    assert doctor.locale_is("iso8859-1", say("no terminal"), "zh").level == "warning"


NOON = 1782993600.0


@pytest.mark.parametrize(
    ("youngest", "synchronised", "expected"),
    [
        (NOON - 5, "yes", ("ok", "2026-07-02 12:00:00 UTC, synchronized by NTP")),
        (NOON + 5, "", ("ok", "2026-07-02 12:00:00 UTC")),
        (NOON - 5, "no", ("warning", "2026-07-02 12:00:00 UTC, not synchronized by NTP")),
        (
            NOON + 3600,
            "yes",
            ("warning", "2026-07-02 12:00:00 UTC, but tasks.py was written at 2026-07-02 13:00:00"),
        ),
    ],
)
def test_a_clock_that_is_behind_the_projects_files_is_wrong(
    youngest: float, synchronised: str, expected: tuple[str, str]
) -> None:
    assert judged(doctor.clock_is(NOON, youngest, "tasks.py", synchronised)) == expected


def test_without_git_a_target_that_needs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    plain, bringing = (Settings(target=Target(name=name, local=True)) for name in ("plain", "bringing"))
    bringing = Settings(target=bringing.target, git=Git(via="laptop"))
    assert doctor.git_is([plain]).level == "warning"
    assert judged(doctor.git_is([plain, bringing])) == ("refusal", "is missing; git.via is laptop for bringing")


def test_the_agent_is_told() -> None:
    found = [doctor.agent_is("", None), doctor.agent_is("/gone", None), doctor.agent_is("/agent", [1])]
    assert list(map(judged, found)) == [
        ("ok", "there is none (SSH_AUTH_SOCK is not set)"),
        ("warning", "none answers at /gone"),
        ("ok", "/agent: 1 key"),
    ]


FILE = Path("/keys/id")
GOOD = KeyFile(FILE, locked=False, held=False, exposed=False, problem=None)
LOCKED = KeyFile(Path("/keys/locked"), locked=True, held=False, exposed=False, problem=say("needs a passphrase"))
HELD = KeyFile(Path("/keys/held"), locked=True, held=True, exposed=False, problem=say("needs a passphrase"))
ODD = KeyFile(Path("/keys/odd"), locked=False, held=False, exposed=False, problem=say("key /keys/odd: not readable"))


@pytest.mark.parametrize(
    ("files", "held", "expected"),
    [
        ([GOOD], [], [("ok", "me@prod:22: /keys/id")]),
        ([HELD], [(b"", "ssh-rsa me")], [("ok", "me@prod:22: ssh-rsa me of the agent")]),
        ([], [], [("refusal", "me@prod:22: there is no key; looked for: /keys/id")]),
        (
            [KeyFile(FILE, locked=False, held=False, exposed=True, problem=None)],
            [],
            [
                ("warning", "me@prod:22: others can read /keys/id, so that ssh refuses it"),
                ("ok", "me@prod:22: /keys/id"),
            ],
        ),
        (
            [LOCKED],
            [],
            [("refusal", "me@prod:22: /keys/locked needs its passphrase, and the agent does not have it")],
        ),
        (
            [GOOD, LOCKED],
            [],
            [
                ("warning", "me@prod:22: /keys/locked needs its passphrase, and the agent does not have it"),
                ("ok", "me@prod:22: /keys/id"),
            ],
        ),
        (
            [ODD],
            [],
            [
                ("warning", "me@prod:22: key /keys/odd: not readable"),
                ("refusal", "me@prod:22: there is no key; looked for: /keys/id"),
            ],
        ),
    ],
)
def test_what_may_open_the_door(
    files: list[KeyFile], held: list[tuple[bytes, str]], expected: list[tuple[str, str]]
) -> None:
    assert [judged(one) for one in doctor.keys_are(LABEL, [FILE], files, held)] == expected


KEY = base64.b64encode(b"key").decode()


@pytest.mark.parametrize(
    ("text", "level", "part"),
    [
        (f"prod ssh-ed25519 {KEY}\n", "ok", "ssh-ed25519 SHA256:"),
        ("", "refusal", "me@prod:22: prod is not in /known_hosts"),
        (f"@cert-authority * ssh-ed25519 {KEY}\n", "refusal", "only a certificate authority is known"),
        (f"prod ssh-ed25519 {KEY}\n@revoked * ssh-ed25519 {KEY}\n", "refusal", "that is known is revoked"),
    ],
)
def test_what_known_hosts_says_of_a_machine(text: str, level: str, part: str) -> None:
    known = known_hosts.about(known_hosts.parse(text, "/known_hosts"), "prod")
    finding = doctor.known_is(LABEL, "prod", known, [Path("/known_hosts")], "ssh prod true")
    assert finding.level == level
    assert part in as_text(finding.evidence)


@pytest.mark.parametrize(
    ("said", "level", "part"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "ok", "10.0.0.1 answers in 12 ms: SSH-2.0-OpenSSH_9.2p1 Debian"),
        (b"HTTP/1.1 400 Bad Request\r\n", "refusal", "something else than sshd answers: HTTP/1.1 400 Bad Request"),
        (b"", "refusal", "10.0.0.1 closed the connection"),
        (b"\xff\xfe", "refusal", "something else than sshd answers"),
    ],
)
def test_what_answers_at_the_port_has_to_be_sshd(said: bytes, level: str, part: str) -> None:
    finding = doctor.greeted(LABEL, "10.0.0.1", 12.3, said)
    assert finding.level == level
    assert part in as_text(finding.evidence)


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name prod is not resolved"),
        (TimeoutError(), "no answer within 4 s"),
        (ConnectionRefusedError(), "refused the connection"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_a_machine_that_is_not_reached_is_told_with_what_is_in_the_way(error: OSError, part: str) -> None:
    finding = doctor.unreached(LABEL, "prod", error)
    assert finding.level == "refusal"
    assert finding.remedy
    assert part in as_text(finding.evidence)
