"""Follow a run to its end: show it, confirm it or have it undone, come back to it, tell how it ended."""

import getpass
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING

from deploy import causes, evidence, migrations, output, remedies, runs, words
from deploy.errors import Exit, Failure
from deploy.host import Disconnected
from deploy.message import Message, Told, pack, say, unpack
from deploy.runs import Event
from deploy.state import State, variables
from deploy.verbs.interrupts import insistent
from deploy.verbs.session import Session

if TYPE_CHECKING:
    from deploy.probe import Probe

# Seconds between two attempts to connect again: the first pause, its growth, the longest; and when to give up.
PAUSE, GROWTH, LONGEST_PAUSE, PATIENCE = 1.0, 1.5, 10.0, 120.0

# How these steps end is decided by the release, as far as no known cause shows another.
RELEASE_STEPS = ("build", "proof", "migrate", "restart", "maintenance-off")
# The host's clock in seconds since the epoch, as the lock's holder told it.
_MOMENT = re.compile(r"[0-9]{1,11}")
# Letters of a name, of a user or a laptop, that are passed on.
LONGEST_NAME = 64
# How long a step may outlive its harness.
ORPHAN_SECONDS = 900

Journal = AbstractContextManager[Iterator[Event]]
# Proves that the revision serves, or raises what shows that it does not.
Prove = Callable[[str], object]


def operator() -> str:
    """Name who runs the verb, and where, in one line that can be told beside others."""
    try:
        user = getpass.getuser()
    except (ImportError, KeyError, OSError):
        # Neither the environment nor the system has a name for this user.
        user = "somebody"
    return f"{_name(user)}@{_name(socket.gethostname())}"


def _name(text: str) -> str:
    text = output.visible(text)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"


def new_run_id(state: State) -> str:
    return runs.new_run_id(state.clock, secrets.token_hex(2))


def finishing(session: Session, verb: str) -> Journal:
    """Start a run without steps: it takes the lock, once a dead run's last step has ended, and finishes that run."""
    shared = variables(session.settings)
    about = {"verb": verb, "operator": operator()}
    files = runs.files_of((), about, "true\n", "", shared, patience=ORPHAN_SECONDS)
    return runs.start(session.host, shared, "", files)


class Follower:
    """Follows one run; without an id the current or the last one.

    `prove` is asked before the run is confirmed; without it, somebody else confirms. Ctrl-C has a run undone that is
    `undoable`; `undo` has it undone at once. What `probing` met goes into the history with the decision. `hear` is
    called with each event. `steps` are the names of those that it is going to carry out, where they are known.
    """

    def __init__(
        self,
        session: Session,
        run: str,
        *,
        prove: Prove | None = None,
        undoable: bool = False,
        undo: bool = False,
        probing: "Probe | None" = None,
        hear: Callable[[Event], None] = lambda event: None,
        steps: Sequence[str] = (),
    ) -> None:
        self._session = session
        self._steps = steps
        self._hear = hear
        self._run = run
        self._prove = prove
        self._undoable = undoable
        self._undo = undo
        self._probing = probing
        self._seen: list[Event] = []
        # Is it somebody's wish that the run is undone?
        self.interrupted = False
        self._to_confirm = False
        # Why it is undone, where that has its cause on another host.
        self.because: Message | None = None
        # What was said of the run from here.
        self._decided: set[runs.Choice] = set()
        self._problem: Failure | None = None

    def follow(self, journal: Journal) -> None:
        """Show the run's events to its end, and raise how it ended unless it is done."""
        # It brings what draws on a terminal with it.
        from deploy import live

        shown = live.following({self._session.settings.target.name: (self._session.report, self._steps)})
        try:
            with insistent() as met, shown:
                while not self._ended(journal, met):
                    journal = runs.follow(self._session.host, self._variables, self._run, self._next)
        except KeyboardInterrupt:
            # The second one, wherever it meets us.
            raise self._detached() from None
        self._judge()

    def attend(self, journal: Journal) -> None:
        """Do the same beside others, where Ctrl-C is met by whoever follows all of them."""
        while not self._ended(journal, lambda: None):
            journal = runs.follow(self._session.host, self._variables, self._run, self._next)
        self._judge()

    def _ended(self, journal: Journal, met: Callable[[], None]) -> bool:
        try:
            if self._to_confirm:
                self._confirm()
            self._watch(journal)
        except KeyboardInterrupt:
            met()
            self._interrupt()
            return False
        except Disconnected as error:
            self._come_back(error)
            return False
        if self._seen and self._seen[-1].kind == "gone":
            self._finish_dead()
            return False
        return True

    @property
    def _variables(self) -> runs.Variables:
        return variables(self._session.settings)

    @property
    def _verb(self) -> str:
        return self._about(1)

    def _about(self, field: int) -> str:
        """A field of the event that a run begins with: its id, its verb, who runs it, its revision."""
        return next((event.fields[field] for event in self._seen if event.kind == "run"), "")

    @property
    def kept(self) -> dict[str, str]:
        """Tell of a run that the host has proven and kept alone; nothing where it is no such one."""
        alone = pack(say("the host"))
        if not any(event.kind == "confirmed" and event.fields[0] == alone for event in self._seen):
            return {}
        names = ("run", "verb", "operator", "to")
        facts = {name: self._about(number) for number, name in enumerate(names)}
        return {"target": self._session.settings.target.name, "from": "", **facts}

    @property
    def _next(self) -> int:
        return self._seen[-1].line + 1 if self._seen else 1

    def _watch(self, journal: Journal) -> None:
        with journal as events:
            if self._prove:
                # For the last look and the decision: users wait for both.
                self._session.host.prepare(2)
            for event in events:
                self._seen.append(event)
                self._session.report.event(event)
                self._hear(event)
                if event.kind == "run":
                    self._run = event.fields[0]
                    if self._undo:
                        self._undo = False
                        self.decide("undo")
                if event.kind == "confirming" and self._prove:
                    self._to_confirm = True
                    self._confirm()

    def _confirm(self) -> None:
        revision = self._about(3)
        assert self._prove, "asked only where there is somebody to prove"
        try:
            self._prove(revision)
        except Disconnected:
            raise
        except Failure as failure:
            self._problem = failure
            self.decide("undo")
        else:
            self.decide("confirm")

    def decide(self, choice: runs.Choice) -> None:
        """Confirm the run or have it undone; who decided before is told."""
        if choice in self._decided:
            return
        met = self._probing.end().fields if self._probing else ""
        us = pack(say("%s, not proven good", operator())) if self._problem else operator()
        self._to_confirm = False
        try:
            decided, who = runs.decide(self._session.host, self._variables, self._run, choice, us, met)
        except Disconnected:
            self._to_confirm = choice == "confirm"
            raise
        except Failure as failure:
            why = reduce(lambda one, other: say("%s: %s", one, other), (failure.fact, *failure.evidence[-1:]))
            self._session.report.line(say("%s; the host decides by itself when the time for it is over", why), "yellow")
            return
        self._decided.add(choice)
        if decided == "ended":
            self._session.report.line(say("the run has ended already"), "yellow")
        elif (decided, who) != (choice, us):
            self._session.report.line(say("%s decided before: %s", unpack(who), decided), "yellow")

    def _interrupt(self) -> None:
        """The first Ctrl-C has the run undone; the second lets it go on unwatched."""
        if self.interrupted or not self._undoable:
            raise self._detached() from None
        self.interrupted = True
        try:
            self.decide("undo")
        except Disconnected as error:
            self._come_back(error)
            self.decide("undo")
        self._session.report.line(say("interrupted: undone after the running step · Ctrl-C again detaches"), "yellow")

    def _detached(self) -> Failure:
        see = remedies.see_end(self._session.settings.target.name)
        return Failure(say("detached: the host finishes the run by itself"), remedy=see, code=Exit.INTERRUPTED)

    def _come_back(self, error: Disconnected) -> None:
        """Connect again: the host goes on with the run meanwhile."""
        self._session.report.line(say("%s; connecting again", error.fact), "yellow")
        label, end, pause = self._session.host.label, time.monotonic() + PATIENCE, PAUSE
        while True:
            try:
                self._session.reconnect()
                return
            except Failure as failure:
                if failure.code == Exit.REFUSED or time.monotonic() > end:
                    raise Failure(
                        say("the connection to %s was lost; the host finishes the run by itself", label),
                        evidence=(failure.fact, *failure.evidence),
                        remedy=remedies.see_end(self._session.settings.target.name),
                    ) from error
            time.sleep(pause)
            pause = min(pause * GROWTH, LONGEST_PAUSE)

    def _finish_dead(self) -> None:
        """Have another harness finish this run, whose own one died; once, or how it ended stays unknown."""
        gone = self._seen.pop()
        if any(event.kind == "gone" for event in self._seen):
            raise Failure(
                say("the run's harness died and it could not be finished"),
                evidence=(*map(unpack, gone.fields[0].split("\n")), *self._session.now()),
                remedy=remedies.look(self._session.settings.target.name),
            )
        self._seen.append(replace(gone, line=self._next - 1))
        self._session.report.line(say("the run's harness died; another one finishes it"), "yellow")
        with finishing(self._session, "finish") as events:
            for _ in events:
                """The other run tells nothing of its own: what it does stands in this one's journal."""

    def _judge(self) -> None:
        """Raise how the run ended unless it is done."""
        last = self._seen[-1] if self._seen else None
        target = self._session.settings.target.name
        if last is not None and last.kind == "none":
            raise Failure(say("there was no run on this host yet"), remedy=remedies.update(target))
        if last is None or last.kind != "done":
            raise Failure(
                say("the run's harness is gone and how it ended is unknown"),
                evidence=self._session.now(),
                remedy=remedies.look_and_run_again(target),
            )
        outcome, *why = last.fields
        if outcome != "done":
            raise self._failure(outcome, why)
        if self.interrupted:
            raise Failure(say("interrupted, but the run was done already"), code=Exit.INTERRUPTED)

    def _failure(self, outcome: str, why: Sequence[str]) -> Failure:
        target = self._session.settings.target.name
        match outcome:
            case "locked":
                holder = next((event.fields for event in self._seen if event.kind == "refused"), ())
                return Failure(
                    say("another run holds the lock, nothing was done"),
                    evidence=(_holder(holder),),
                    remedy=remedies.follow_run(target),
                    code=Exit.LOCKED,
                )
            case "changed":
                changed = [event.fields for event in self._seen if event.kind == "changed"]
                for run, how, *_ in (event.fields for event in self._seen if event.kind == "resumed"):
                    fact = say("run %s had died and was finished first: %s; nothing else was done", run, how)
                    return Failure(fact, evidence=self._session.now(), remedy=remedies.RUN_AGAIN, code=Exit.REFUSED)
                return Failure(
                    say("the host changed since its state was read, nothing was changed"),
                    evidence=tuple(
                        say("%s: %s -> %s", unpack(name), unpack(was) or say("nothing"), unpack(now) or say("nothing"))
                        for name, was, now, *_ in changed
                    ),
                    remedy=remedies.RUN_AGAIN,
                    code=Exit.REFUSED,
                )
        fact, shown = self._cause(why)
        seen = evidence.of(self._seen)
        said = {
            "refused": (seen.unchanged, Exit.REFUSED),
            "altered": (say("nothing was to be changed yet, but %s is not as it was", target), Exit.UNDONE_ILL),
            "undone": (say("undone: %s is as healthy as before", target), Exit.UNDONE),
            "undone-ill": (say("undone, but %s is not as healthy as before", target), Exit.UNDONE_ILL),
        }
        ended, code = said.get(outcome, (None, Exit.FAILED))
        state, now = self._session.look()
        schema, restoring = self._newer_schema(state, seen) if outcome != "refused" else (None, None)
        # Of these steps the release decides how they end; a dump or a copy that fails says nothing of it.
        failed = why[0].partition("@")[0] if why and not self.interrupted else ""
        at_fault = outcome in ("refused", "undone") and self._verb == "hot-update" and failed in RELEASE_STEPS
        known = causes.remedy((fact, *shown)) or (remedies.cure if at_fault else remedies.look)(target)
        return Failure(
            fact,
            evidence=(*shown, *filter(None, (ended, *seen.lines, schema)), *now),
            remedy=restoring if restoring and (seen.half_migrated or code == Exit.UNDONE_ILL) else known,
            code=Exit.INTERRUPTED if self.interrupted else code,
        )

    def _newer_schema(self, state: State | None, seen: evidence.Evidence) -> tuple[Message | None, Message | None]:
        """Say that old code runs on the schema of what was undone, and which command brings the old one back."""
        newer = migrations.unknown(state.database, state.chain) if state and state.chain else ()
        if not newer and not seen.schema:
            return None, None
        told = say("the old code runs on the new schema: the database is at %s, which it does not know", newer)
        restoring = remedies.restore_dump(self._run, self._session.settings.target.name) if self._dumped() else None
        return told if newer else None, restoring

    def _dumped(self) -> bool:
        """Is there a dump of this run still? Later ones may have taken its place."""
        if not any(event.kind == "end" and event.fields[:2] == ("backup", "0") for event in self._seen):
            return False
        try:
            return self._run in [dump.id for dump in self._session.dumps().all]
        except Failure:
            return False

    def _cause(self, why: Sequence[str]) -> tuple[Message, tuple[Told, ...]]:
        """Name the first thing that went wrong, and the lines that show it."""
        if self._problem:
            return self._problem.fact, self._problem.evidence
        if self.interrupted:
            return say("interrupted"), ()
        if self.because:
            return self.because, ()
        step, status, reason, *_ = (*why, "", "", "")
        where = self._session.host.label
        if status in words.DECIDED and reason:
            return say("%s had the run undone", unpack(reason)), self._told("prove") if unpack(reason) == say(
                "the host"
            ) else ()
        lines = self._told(step)
        if reason:
            return say("%s failed on %s: %s", step, where, unpack(reason)), lines
        cause = lines[-1] if lines else say("it %s without a word", words.ended(status))
        place = causes.place(lines)
        if place:
            return say("%s failed on %s: %s (%s)", step, where, cause, place), lines[:-1]
        return say("%s failed on %s: %s", step, where, cause), lines[:-1]

    def _told(self, step: str) -> tuple[Told, ...]:
        """Give the last lines that a step said before it was undone."""
        end = max((number for number, event in enumerate(self._seen) if event.kind == "undo"), default=len(self._seen))
        said = [event.fields for event in self._seen[:end] if event.kind in ("line", "message")]
        return tuple(unpack(told) for name, told in said if name == step and told.strip())[-16:]


def _holder(fields: Sequence[str]) -> Message:
    """Say who holds the lock; the fields are those of the journal's `refused`."""
    run, verb, who, _, start, *_ = fields if len(fields) >= 5 else ("", "", "", "", "")
    if not run:
        return say("the holder is not known yet")
    told = say("%s by %s, run %s", verb, who, run)
    if not _MOMENT.fullmatch(start):
        return told
    return say("%s since %s", told, f"{datetime.fromtimestamp(int(start), UTC):%Y-%m-%d %H:%M:%S UTC}")
