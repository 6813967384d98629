"""Hooks and notices around a run."""

import subprocess
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy import host
from deploy.errors import Exit, Failure
from deploy.message import say
from deploy.report import Report
from deploy.settings import Notice, Settings
from deploy.settings.model import Hooks
from deploy.verbs.telling import Telling, facts_of
from tests.build import NEW, OLD, SETTINGS
from tests.chat import Chat
from tests.texts import as_text

FACTS = facts_of("prod", "hot-update", "20260102T000000-abcd", OLD, NEW)


def telling(settings: Settings, *sessions: Any) -> Telling:
    return Telling(settings, Report(), sessions, FACTS)


def with_hooks(**hooks: str) -> Settings:
    return replace(SETTINGS, hooks=Hooks(**hooks))  # type: ignore[arg-type]


def test_a_hook_before_the_run_that_fails_refuses_it() -> None:
    with pytest.raises(Failure) as refused, telling(with_hooks(before="echo not tonight; exit 3")) as told:
        told.begin()
    assert refused.value.code == Exit.REFUSED
    assert as_text(refused.value).fact == "hooks.before refuses, nothing was changed: it ended with 3: not tonight"


def test_a_hook_before_the_run_has_its_time() -> None:
    settings = replace(SETTINGS, hooks=Hooks(before="sleep 9", timeout=1))
    with pytest.raises(Failure) as refused, telling(settings) as told:
        told.begin()
    assert as_text(refused.value).fact.endswith("it had not ended after 1 s")


@pytest.mark.parametrize(
    ("code", "hook", "outcome"),
    [(None, "after", "done"), (Exit.UNDONE, "failed", "undone"), (Exit.FAILED, "failed", "failed")],
)
def test_a_hook_learns_how_the_run_ended(tmp_path: Path, code: Exit | None, hook: str, outcome: str) -> None:
    note = f'echo "$HOT_UPDATE_OUTCOME $HOT_UPDATE_TARGET $HOT_UPDATE_FROM $HOT_UPDATE_TO" > {tmp_path}/note'
    failures = []
    try:
        with telling(with_hooks(**{hook: note})) as told:
            told.begin()
            if code is not None:
                raise Failure(say("it failed"), code=code)
    except Failure as failure:
        failures.append(failure)
    assert (tmp_path / "note").read_text() == f"{outcome} prod {OLD} {NEW}\n"
    assert len(failures) == (code is not None)


def test_a_hook_after_the_run_that_fails_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with telling(with_hooks(after="exit 1")) as told:
        told.begin()
    assert "! hooks.after: it ended with 1" in capsys.readouterr().out


def test_a_run_that_does_not_begin_has_no_hooks_and_tells_only_that_it_is_refused(
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOOK", chat.url)
    settings = replace(with_hooks(failed=f"touch {tmp_path}/ran"), notify=(Notice("json", "HOOK"),))
    with pytest.raises(Failure), telling(settings):
        raise Failure(say("env: it lacks a key"), code=Exit.REFUSED)
    with telling(settings):
        """There is nothing to do."""
    assert [body["event"] for _, body in chat.came] == ["refused"]
    assert list(tmp_path.iterdir()) == []


def test_notices_tell_that_a_run_begins_and_how_it_ended(
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOOK", chat.url)
    settings = replace(SETTINGS, notify=(Notice("json", "HOOK"), Notice("slack", "HOOK", events=("undone",))))
    with telling(settings) as told:
        told.begin()
    assert sorted(body["event"] for _, body in chat.came) == ["done", "started"]
    done = next(body for _, body in chat.came if body["event"] == "done")
    assert done["text"].splitlines()[0] == f"hot-update of prod to {NEW[:7]} is done"


def test_a_notice_that_is_not_taken_is_a_warning_without_its_address(
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chat.answer = (500, "")
    monkeypatch.setenv("HOOK", chat.url)
    with telling(replace(SETTINGS, notify=(Notice("slack", "HOOK"), Notice("slack", "UNSET")))) as told:
        told.begin()
    said = capsys.readouterr().out
    assert "! the notice to slack (HOOK) was not taken: it answers 500" in said
    assert "! no notice: the environment has no UNSET" in said
    assert "access_token" not in said


def test_a_lock_that_is_met_after_the_beginning_is_no_refusal_and_before_it_is_told_nobody(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", chat.url)
    settings = replace(SETTINGS, notify=(Notice("json", "HOOK", events=("refused", "locked")),))

    def run(*, begins: bool) -> list[str]:
        with suppress(Failure), telling(settings) as told:
            if begins:
                told.begin()
            raise Failure(say("another run holds the lock, nothing was done"), code=Exit.LOCKED)
        return [body["event"] for _, body in chat.came]

    assert (run(begins=False), run(begins=True)) == ([], ["locked"])


def test_that_the_host_kept_a_release_alone_is_told_once(
    chat: Chat, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOK", chat.url)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".git/hot-update/runs" / FACTS["run"]).mkdir(parents=True)
    target = replace(SETTINGS.target, path=str(tmp_path), local=True)
    settings = replace(SETTINGS, target=target, notify=(Notice("json", "HOOK"),))
    session = SimpleNamespace(settings=settings, host=host.connect(target, settings.ssh, ask=None))
    for _ in range(2):
        telling(settings, session).kept()
    assert [body["event"] for _, body in chat.came] == ["kept"]


def test_a_hook_on_the_host_runs_there_and_tells_no_secret(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_PASSWORD=correcthorse\n")
    target = replace(SETTINGS.target, path=str(tmp_path), local=True)
    settings = replace(
        SETTINGS, target=target, hooks=Hooks(before='echo "$HOT_UPDATE_RUN $PWD correcthorse"; exit 1', where="host")
    )
    session = SimpleNamespace(settings=settings, host=host.connect(target, settings.ssh, ask=None))
    with pytest.raises(Failure) as refused, telling(settings, session) as told:
        told.begin()
    assert as_text(refused.value).fact.endswith(f"{FACTS['run']} {tmp_path} [DB_PASSWORD]")
