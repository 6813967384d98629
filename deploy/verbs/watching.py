"""Watch a release that is proven, before it is confirmed: its health, and what its access log says."""

import time
from collections.abc import Callable
from contextlib import suppress

from deploy import shell
from deploy.beside import Beside
from deploy.errors import Failure
from deploy.message import say
from deploy.state import variables
from deploy.verbs.session import Session

# Seconds between two looks, and the answers from which on their share of errors says something.
PAUSE, ENOUGH = 2.0, 20
# Seconds for which the log is followed beyond the watch.
SPARE = 30


class Answers:
    """Counts the answers of an access log while it grows, and those that are 5xx."""

    def __init__(self) -> None:
        self.all = self.errors = 0

    def read(self, session: Session, seconds: int) -> None:
        settings = session.settings
        log = settings.confirm.access_log
        script = shell.script("containers.sh", "answers.sh", **variables(settings), access_log=log, seconds=seconds)
        # What cannot be read counts nothing, which is told in the end.
        with suppress(Failure), session.host.stream(script) as lines:
            for line in lines:
                self.all += 1
                self.errors += line.startswith("5")

    def too_many(self, percent: int) -> bool:
        return self.all >= ENOUGH and self.errors * 100 > self.all * percent


def watch(session: Session, seconds: int, renew: Callable[[], None] = lambda: None) -> None:
    """Look at a release for so long; Failure when it turns ill. `renew` has the host wait meanwhile."""
    settings, answers = session.settings, Answers()
    session.report.line(say("watching it for %s s", seconds), "dim")
    if settings.confirm.access_log:
        Beside(lambda: answers.read(session, seconds + SPARE))
    end = time.monotonic() + seconds
    renewed = time.monotonic()
    while time.monotonic() < end:
        time.sleep(min(PAUSE, max(0.0, end - time.monotonic())))
        if time.monotonic() - renewed > settings.confirm.timeout / 4:
            renewed = time.monotonic()
            renew()
        ill = tuple(
            say("%s: %s %s", check.name, check.url, check.problem) for check in session.recover() if check.problem
        )
        if ill:
            raise Failure(say("health, while it was watched: %s", ill[0]), evidence=ill[1:])
        if answers.too_many(settings.confirm.errors):
            raise Failure(
                say("%s of %s answers in the access log were 5xx while it was watched", answers.errors, answers.all)
            )
    if answers.all:
        told = say("watched for %s s: healthy, %s of %s answers were 5xx", seconds, answers.errors, answers.all)
        session.report.line(told, "green")
    else:
        session.report.line(say("watched for %s s: healthy; the access log told of no answer", seconds), "green")
