"""People read Chinese or English; what programs read is the same in both."""

import gettext
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deploy import language, wording
from deploy.message import Message, Printed, counted, pack, say, unpack
from deploy.output import cells
from deploy.report import Report
from deploy.wording import english, text
from tests.catalogue import JOINER, MO, found, pasteable, translations, untranslated

ROOT = Path(__file__).resolve().parent.parent
PLACE = re.compile(r"%(?:([0-9]+)\$)?s")


@pytest.fixture
def chinese() -> Iterator[None]:
    with MO.open("rb") as file:
        wording.speak(gettext.GNUTranslations(file).gettext)
    yield
    wording.speak(None)


def test_every_format_has_a_translation() -> None:
    wanted = untranslated()
    assert not wanted, f"run inv messages, then fill these in:\n{pasteable(wanted)}"


def test_nothing_is_translated_that_nobody_says() -> None:
    known = {str(one.id) for one in translations() if one.id}
    assert sorted(known - set(found())) == [], "run inv messages"


def test_no_translation_is_a_guess() -> None:
    assert [one.id for one in translations() if one.id and one.fuzzy] == []


def places(format: str) -> Counter[int]:
    """Count which value goes where: by its number, or by its turn where the places have none."""
    return Counter(int(number) if number else turn for turn, number in enumerate(PLACE.findall(format), 1))


def test_a_translation_has_the_values_of_its_format() -> None:
    translated = {str(one.id): str(one.string) for one in translations() if one.id and one.string}
    assert {format: told for format, told in translated.items() if places(format) != places(told)} == {}
    numbered = {told for told in translated.values() if "$s" in told and re.search("%s", told)}
    assert numbered == set(), "either all places have numbers or none has"


def test_no_translation_has_what_a_record_escapes() -> None:
    told = [str(one.string) for one in translations() if one.id]
    assert [one for one in told if not one.isprintable()] == []


def test_what_is_compiled_is_what_is_written() -> None:
    with MO.open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    written = {str(one.id): str(one.string) for one in translations() if one.id and one.string}
    differing = [format for format, told in written.items() if compiled.gettext(format) != told]
    assert differing == [], "run inv messages"


@pytest.mark.parametrize(
    ("environ", "file", "expected"),
    [
        ({}, "", "en"),
        ({"LANG": "zh_CN.UTF-8"}, "", "zh"),
        ({"LANG": "zh_CN.UTF-8"}, "lang: auto\n", "zh"),
        ({"LANG": "zh_CN.UTF-8"}, "lang: en\n", "en"),
        ({"LANG": "de_DE.UTF-8"}, "", "en"),
        ({"LANG": "en_US.UTF-8"}, "targets: {}\nlang: 'zh' # ours\n", "zh"),
        ({"LANG": "en_US.UTF-8"}, "targets:\n  lang: zh\n", "en"),
        ({"LANG": "en_US.UTF-8"}, "lang: zh\n  broken: [", "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "", "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "", "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "", "zh"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "de:zh_CN:en"}, "", "zh"),
        ({"LC_ALL": "C.UTF-8", "LANGUAGE": "zh"}, "", "en"),
        ({"HOT_UPDATE_LANG": "zh", "LANG": "en_US.UTF-8"}, "lang: en\n", "zh"),
        ({"HOT_UPDATE_LANG": "auto", "LANG": "zh_CN.UTF-8"}, "lang: en\n", "zh"),
    ],
)
def test_the_environment_goes_before_the_file_and_the_file_before_the_locale(
    environ: Mapping[str, str], file: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "invoke.yaml").write_text(file)
    assert language.chosen(environ, tmp_path / "invoke.yaml", tmp_path / "none.yaml") == expected


def test_the_last_file_that_says_a_language_counts(tmp_path: Path) -> None:
    for name, told in (("a", "lang: en\n"), ("b", "lang: zh\n"), ("c", "targets: {}\n")):
        (tmp_path / name).write_text(told)
    assert language.chosen({}, *(tmp_path / name for name in "abc")) == "zh"


def test_a_translation_may_put_the_values_in_another_order() -> None:
    wording.speak(lambda format: {"%s of %s": "%2$s 的 %1$s %%", JOINER: "、"}.get(format, format))
    try:
        assert text(say("%s of %s", ("a", "b"), say("%s of %s", 1, 2))) == "2 的 1 % 的 a、b %"
        assert english(say("%s of %s", ("a", "b"), 1)) == "a, b of 1"
    finally:
        wording.speak(None)


@pytest.mark.usefixtures("chinese")
def test_a_journal_of_one_language_is_read_in_the_other() -> None:
    packed = pack(say("%s: %s", counted(3, "%s refusal", "%s refusals"), Printed("File not found")))
    assert text(unpack(packed)) == "3 项拒绝：File not found"
    assert text(Message("a format of an older version, %s", ("x",))) == "a format of an older version, x"
    assert text(Message("")) == ""


@pytest.mark.usefixtures("chinese")
def test_names_of_full_width_stand_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    Report().rows(((say("lock"), Printed("a")), (say("database"), Printed("b")), (Printed("sshd"), Printed("c"))))
    assert capsys.readouterr().out == "锁      a\n数据库  b\nsshd    c\n"
    assert [cells(one) for one in ("锁", "a，", unicodedata.normalize("NFD", "é"))] == [2, 3, 1]


@pytest.mark.usefixtures("chinese")
def test_what_programs_read_is_english(capsys: pytest.CaptureFixture[str]) -> None:
    Report().document({"problem": say("no answer")})
    assert capsys.readouterr().out == '{\n  "problem": "no answer"\n}\n'


def inv(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "invoke", *words]
    told = {**os.environ, "PYTHONIOENCODING": "utf-8", **environ}
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False, timeout=60)


def test_help_and_errors_of_the_settings_are_told_in_chinese(tmp_path: Path) -> None:
    assert "把生产环境更新到远端分支，验证并确认；失败则撤销。" in inv("--list", HOT_UPDATE_LANG="zh").stdout
    (tmp_path / "mine.yaml").write_text("lang: zh\ngit: {brnch: x}\n")
    wrong = inv("-f", str(tmp_path / "mine.yaml"), "status", HOT_UPDATE_LANG="")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "mine.yaml:2: git.brnch：未知的键 · 是否想写 branch？" in wrong.stderr


def test_a_language_that_there_is_not_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("lang: fr\n")
    wrong = inv("-f", str(tmp_path / "mine.yaml"), "status")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "mine.yaml:1: lang: must be one of auto, zh, en" in wrong.stderr
