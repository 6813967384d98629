"""How a session reads its host: once, whether that was begun before or not."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.host.local import LocalHost
from deploy.verbs.session import Session
from tests.build import SETTINGS
from tests.steps.site import make


class Counted(LocalHost):
    """A host, and how many scripts it was given."""

    count = 0

    def stream(self, script: str, *, stdin: bytes = b"") -> AbstractContextManager[Iterator[str]]:  # type: ignore[override]
        self.count += 1
        return super().stream(script, stdin=stdin)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    target = replace(SETTINGS.target, path=str(make(tmp_path).clone), local=True)
    return Session(replace(SETTINGS, target=target), Counted)


def test_what_was_begun_is_what_is_read_and_only_that(session: Session) -> None:
    session.begin_reading("remote")
    begun, again = session.read("remote"), session.read("remote")
    assert begun.repository.target == again.repository.target != ""
    assert session.host.count == 2  # type: ignore[attr-defined]


def test_another_reading_than_the_one_that_was_begun_is_asked_for(session: Session) -> None:
    session.begin_reading("remote")
    assert session.read("running").repository.target == ""
    assert session.host.count == 2  # type: ignore[attr-defined]
