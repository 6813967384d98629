"""Carry a release out on several hosts: follow all of their runs, and tell each what group.py decides."""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

from deploy import group, remedies, runs
from deploy.beside import Beside
from deploy.errors import Exit, Failure
from deploy.group import Part, Word
from deploy.host import Disconnected
from deploy.message import Message, say
from deploy.runs import Event
from deploy.state import variables
from deploy.verbs.follow import Follower
from deploy.verbs.hosts import Hosts
from deploy.verbs.interrupts import insistent
from deploy.verbs.session import Session
from deploy.verbs.update import Decision, hand_over, prove, renew, watched
from deploy.verbs.watching import watch

# The part of a deadline after which it is renewed; seconds between two attempts to tell a host something.
RENEWED, PAUSE = 1 / 4, 1.0


@dataclass(frozen=True)
class Work:
    """What a host is to do, and for how many seconds its release is watched."""

    session: Session
    decision: Decision
    watch: int = 0

    @property
    def name(self) -> str:
        return self.session.settings.target.name

    @property
    def steps(self) -> list[str]:
        return [step.name for step in self.decision.plan.steps]

    @property
    def part(self) -> Part:
        """Its part of the run, before that begins."""
        return Part(self.name, migrates="migrate" in self.steps, dumps=group.dumps_first(self.steps))


class Together:
    """Runs of several hosts that go on, are confirmed and are undone as one: one batch after the other."""

    def __init__(
        self,
        hosts: Hosts,
        works: Sequence[Work],
        batches: Sequence[Sequence[str]],
        *,
        keep_schema: bool = False,
        probe: bool = False,
    ) -> None:
        self._works = {work.name: work for work in works}
        self._batches = batches
        self._hosts = hosts
        self._keep_schema, self._probe = keep_schema, probe
        self._changed = threading.Condition()
        self._parts = {work.name: work.part for work in works}
        self._followers: dict[str, Follower] = {}
        self._verdicts: dict[str, Word] = {}
        # The first that failed: the others are undone because of it.
        self._culprit = ""
        self._failed: dict[str, Failure] = {}
        self._batch, self._rests_until = 0, 0.0
        self._interrupted = self._detached = False

    def carry_out(self) -> tuple[dict[str, Failure], str]:
        """Follow all to their ends; how each failed that did, and which did so first."""
        from deploy import live

        threads = [threading.Thread(target=self._follow, args=(work,), daemon=True) for work in self._works.values()]
        shown = live.following({name: (work.session.report, work.steps) for name, work in self._works.items()})
        with insistent() as met, shown:
            for thread in threads:
                thread.start()
            while True:
                try:
                    self._lead(threads)
                    break
                except KeyboardInterrupt:
                    met()
                    self._interrupt()
        return {name: self._failed[name] for name in self._works if name in self._failed}, self._culprit

    def _lead(self, threads: Sequence[threading.Thread]) -> None:
        often = min(work.session.settings.confirm.timeout for work in self._works.values()) * RENEWED
        renewed = time.monotonic()
        while any(thread.is_alive() for thread in threads):
            with self._changed:
                for name, word in self._next():
                    self._parts[name] = replace(self._parts[name], told=self._parts[name].told | {word})
                    Beside(partial(self._tell, name, word))
                self._changed.wait(0.2)
            if time.monotonic() - renewed > often:
                renewed = time.monotonic()
                for name, part in self._parts.items():
                    if part.begun and part.good is None:
                        Beside(partial(renew, self._works[name].session, self._works[name].decision.run))

    def _next(self) -> list[tuple[str, Word]]:
        """Decide what to tell now; between two batches nobody is told to begin."""
        words = group.next_words(self._parts.values(), self._batches, stop=self._interrupted)
        now = max((self._batch_of(name) for name, word in words if word in ("start", "apply")), default=self._batch)
        if now > self._batch:
            self._batch, self._rests_until = now, time.monotonic() + self._hosts.group.pause
        if time.monotonic() < self._rests_until:
            words = [(name, word) for name, word in words if word not in ("start", "apply")]
        return words

    def _batch_of(self, name: str) -> int:
        return next(number for number, batch in enumerate(self._batches) if name in batch)

    def _follow(self, work: Work) -> None:
        """Have one host carry its plan out, to its end."""
        name, decision = work.name, work.decision
        try:
            with watched(work.session) if self._probe else nullcontext() as probing:
                follower = self._followers[name] = Follower(
                    work.session,
                    decision.run,
                    prove=partial(self._prove, work),
                    undoable=decision.plan.undoable,
                    probing=probing,
                    hear=partial(self._hear, name),
                )
                follower.interrupted = self._interrupted
                holds = group.points(work.steps)
                follower.attend(hand_over(work.session, decision.plan, decision.state, decision.run, holds))
        except Failure as failure:
            self._end(work, failure)
        except BaseException:
            self._end(work, Failure(say("it could not be followed any more")))
            raise
        else:
            self._end(work, None)

    def _hear(self, name: str, event: Event) -> None:
        self._learn(name, lambda part: part.hear(event.kind, event.fields))

    def _learn(self, name: str, change: Callable[[Part], Part]) -> None:
        with self._changed:
            part = self._parts[name] = change(self._parts[name])
            if part.failed:
                self._culprit = self._culprit or name
            self._changed.notify_all()

    def _end(self, work: Work, failure: Failure | None) -> None:
        if failure:
            self._failed[work.name] = failure

        def ended(part: Part) -> Part:
            # One that is lost after its proof keeps the release by itself, where it may.
            kept = part.proven and work.session.settings.confirm.unattended == "keep"
            lost = part.good is None
            return replace(part, good=bool(part.good), failed=part.failed or (lost and not kept), held="")

        self._learn(work.name, ended)

    def _prove(self, work: Work, revision: str) -> None:
        """Prove the host's release, and wait for what becomes of all; it is not confirmed where another one fails."""
        try:
            prove(work.session, revision, keep_schema=self._keep_schema, before=work.decision.state)
            if work.watch:
                watch(work.session, work.watch)
        except Disconnected:
            raise
        except Failure:
            self._learn(work.name, lambda part: replace(part, failed=True))
            raise
        with self._changed:
            self._parts[work.name] = replace(self._parts[work.name], proven=True)
            self._changed.notify_all()
            self._changed.wait_for(lambda: work.name in self._verdicts)
        if self._verdicts[work.name] == "undo":
            self._learn(work.name, lambda part: replace(part, failed=True))
            raise Failure(self._why())

    def _why(self) -> Message:
        if self._interrupted:
            return say("interrupted")
        return say("undone because %s failed", self._culprit)

    def _tell(self, name: str, word: Word) -> None:
        """Tell a host; again, where it cannot be reached at the moment."""
        work = self._works[name]
        if word in ("confirm", "undo"):
            with self._changed:
                self._verdicts[name] = word
                self._changed.notify_all()
        if self._parts[name].proven:
            # Its follower waits for just that.
            return
        while self._parts[name].good is None and not self._detached:
            try:
                if word == "undo":
                    self._followers[name].because = self._why()
                    self._followers[name].decide("undo")
                else:
                    runs.go(work.session.host, variables(work.session.settings), work.decision.run, word)
                return
            except Disconnected:
                time.sleep(PAUSE)
            except Failure as failure:
                work.session.report.line(say("! %s", failure.fact), "yellow")
                return

    def _interrupt(self) -> None:
        """The first Ctrl-C has all runs undone; the second lets them go on unwatched."""
        if self._interrupted:
            self._detached = True
            fact = say("detached: %s finish their runs by themselves", tuple(self._works))
            raise Failure(fact, remedy=remedies.see_end(self._hosts.name), code=Exit.INTERRUPTED) from None
        self._interrupted = True
        for follower in self._followers.values():
            follower.interrupted = True
        told = say("interrupted: undone on every host after the running step · Ctrl-C again detaches")
        self._hosts.report.line(told, "yellow")
