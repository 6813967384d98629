"""Hooks and notices: what a run has others do, and whom it tells, when it begins and when it has ended."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from deploy import notices, remedies, shell
from deploy.beside import Beside
from deploy.errors import Exit, Failure
from deploy.message import Message, Printed, say
from deploy.settings import Settings
from deploy.state import variables
from deploy.verbs.follow import operator

if TYPE_CHECKING:
    from deploy.report import Report
    from deploy.verbs.session import Session

# The status of claim.sh where somebody else was first.
CLAIMED = 3
# How a run ended, by the exit code.
OUTCOMES = {
    Exit.DONE: "done",
    Exit.REFUSED: "refused",
    Exit.LOCKED: "locked",
    Exit.UNDONE: "undone",
    Exit.UNDONE_ILL: "undone-ill",
    Exit.INTERRUPTED: "interrupted",
}
_WORDS = {
    "started": say("begins"),
    "done": say("is done"),
    "refused": say("is refused, nothing was changed"),
    "locked": say("was not carried out: another run holds the lock"),
    "undone": say("was undone"),
    "undone-ill": say("was undone, but production is not as healthy as before"),
    "interrupted": say("was interrupted"),
    "failed": say("failed"),
    "kept": say("was proven and kept by the host alone"),
}


class Telling:
    """Around a run: `begin` has the hook before it run, which may refuse it; how it ended is told in the end.

    `facts` are told hooks and notices: target, verb, run, operator, from and to (releases). `sessions` are the hosts'.
    """

    def __init__(
        self, settings: Settings, report: "Report", sessions: "Sequence[Session]", facts: Mapping[str, str]
    ) -> None:
        self._settings, self._report, self._sessions = settings, report, sessions
        self._facts = dict(facts)
        self._sent: list[tuple[str, Beside[Message | None]]] = []
        self._begun = False

    def __enter__(self) -> "Telling":
        return self

    def begin(self) -> None:
        """Run the hook before the run, and tell that it begins; Failure where the hook fails."""
        if problem := self._hook(self._settings.hooks.before, "started"):
            fact = say("hooks.before refuses, nothing was changed: %s", problem)
            raise Failure(fact, remedy=remedies.MEND_HOOK, code=Exit.REFUSED)
        self._begun = True
        self._tell("started")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = error.code if isinstance(error, Failure) else Exit.DONE if error is None else Exit.INTERRUPTED
        outcome = OUTCOMES.get(code, "failed")
        if self._begun:
            hooks, good = self._settings.hooks, outcome == "done"
            if problem := self._hook(hooks.after if good else hooks.failed, outcome):
                told = say("! hooks.after: %s", problem) if good else say("! hooks.failed: %s", problem)
                self._report.line(told, "yellow")
        # That another run went before is no matter of the release: who typed it sees that.
        if self._begun or outcome == "refused":
            self._tell(outcome, error.fact if isinstance(error, Failure) else None)
        self._await()

    def kept(self) -> None:
        """Tell that the host proved the run and kept it without anybody; once, whoever finds that."""
        wanted = any(not one.events or "kept" in one.events for one in self._settings.notify)
        if wanted and self._claims():
            self._tell("kept")
            self._await()

    def _claims(self) -> bool:
        """Has nobody else told of this run?"""
        session, run = self._sessions[0], self._facts["run"]
        try:
            answer = session.host.run(shell.script("claim.sh", **{**variables(session.settings), "run": run}))
        except Failure:
            # Better told twice than never.
            return True
        return answer.status != CLAIMED

    def _await(self) -> None:
        for name, sent in self._sent:
            if wrong := sent.result():
                self._report.line(say("! the notice to %s was not taken: %s", name, wrong), "yellow")

    def _hook(self, command: str, outcome: str) -> Message | None:
        """Run a hook with the facts in its environment; what is wrong where it fails."""
        if not command:
            return None
        hooks = self._settings.hooks
        told = {f"HOT_UPDATE_{name.upper()}": value for name, value in {**self._facts, "outcome": outcome}.items()}
        if hooks.where == "laptop":
            return _on_laptop(command, told, hooks.timeout)
        problems = (_on_host(session, command, told, hooks.timeout) for session in self._sessions)
        return next(filter(None, problems), None)

    def _tell(self, event: str, why: Message | None = None) -> None:
        for notice in self._settings.notify:
            if notice.events and event not in notice.events:
                continue
            url, key = os.environ.get(notice.url, ""), os.environ.get(notice.secret, "") if notice.secret else ""
            name = f"{notice.kind} ({notice.url})"
            if not url:
                self._report.line(say("! no notice: the environment has no %s", notice.url), "yellow")
                continue
            text = "\n".join(map(self._report.in_words, self._lines(event, why)))
            asked = notices.request(notice, url, key, {"event": event, **self._facts}, text, time.time())
            self._sent.append((name, Beside(partial(notices.send, notice, asked))))

    def _lines(self, event: str, why: Message | None) -> list[Message]:
        facts = self._facts
        what = say("%s of %s", facts["verb"], facts["target"])
        head = say("%s to %s", what, facts["to"][:7]) if facts["to"] else what
        lines = [say("%s %s", head, _WORDS[event])]
        if why:
            lines.append(why)
        if facts["run"]:
            lines.append(say("run %s by %s", facts["run"], facts["operator"]))
        return lines


def facts_of(target: str, verb: str, run: str, was: str, to: str) -> dict[str, str]:
    """Give what hooks and notices are told: the releases are the one that runs and the one that is brought."""
    return {"target": target, "verb": verb, "run": run, "operator": operator(), "from": was, "to": to}


def _on_laptop(command: str, told: Mapping[str, str], seconds: int) -> Message | None:
    try:
        ended = subprocess.run(
            ["/bin/sh", "-c", command],
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return say("it had not ended after %s s", seconds)
    except OSError as error:
        return say("it could not be run: %s", Printed(str(error.strerror)))
    return _ended(ended.returncode, ended.stdout + ended.stderr)


def _on_host(session: "Session", command: str, told: Mapping[str, str], seconds: int) -> Message | None:
    script = shell.script("redact.sh", "hook.sh", **variables(session.settings), command=command, limit=seconds)
    exports = "".join(f"export {shell.assign(**{name: value})}" for name, value in told.items())
    answer = session.host.run(exports + script)
    if answer.status == 124:
        return say("it had not ended after %s s", seconds)
    return _ended(answer.status, answer.stdout + answer.stderr)


def _ended(status: int, printed: str) -> Message | None:
    if status == 0:
        return None
    last = printed.strip().rpartition("\n")[2]
    return say("it ended with %s: %s", status, Printed(last)) if last else say("it ended with %s", status)
