"""The command line: what is wrong with it is told as everything else is, and shells complete the names of targets.

Invoke has no place for either. But its program calls its parts one after the other, so the one that is just loading
tasks.py can be given our class for those that are left.
"""

import atexit
import gc
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, NoReturn

from invoke.exceptions import Exit as InvokeExit
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import to_flag
from invoke.program import Program
from invoke.terminals import pty_size

from deploy import language

if TYPE_CHECKING:
    from invoke.parser.argument import Argument
    from invoke.parser.parser import ParseMachine

    from deploy.errors import Failure
    from deploy.message import Message, Told

# Options that take the name of a target; and of Invoke's own the formats of --list, and what it calls a dry run.
OF_TARGETS = ("--target", "--only")
FORMATS = ("flat", "nested", "json")
DRY = ("--dry", "-R")
# Modules of this project: one that is missing is no package to install.
OURS = ("deploy", "tasks", "tests")


def take_over(project: Path, given: Path | None) -> None:
    """Make the program that loads this project's verbs ours; `given` is the settings file of its command line."""
    main = sys.modules.get("invoke.main")
    if main and type(main.program) is Program:
        Inv.places = (project, given)
        main.program.__class__ = Inv
        # Modules stay until the end: looking through them for garbage time and again, and once more then, finds none.
        gc.set_threshold(10_000)
        atexit.register(gc.freeze)


def targets(project: Path, given: Path | None) -> tuple[str, ...]:
    """Name the targets and groups as far as the settings can be read; who loads them tells what is wrong there."""
    import yaml

    names: dict[str, None] = {}
    for file in (project / "invoke.yaml", *sorted(project.glob(".sandbox/*/target.yaml")), *filter(None, [given])):
        with suppress(OSError, UnicodeError, yaml.YAMLError, AttributeError, TypeError):
            tree = yaml.load(file.read_text(encoding="utf-8-sig"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            for section in ("targets", "groups"):
                names |= dict.fromkeys(map(str, tree.get(section) or ()))
    return tuple(names)


class Inv(Program):
    """Invoke's own program, from when it has loaded the verbs."""

    places: tuple[Path, Path | None]

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except (ParseError, ValueError) as error:
            machine, token = _stood(error)
            _refuse(self._misuse(machine, token))
        # As of --target=$UNSET: the default target is another matter.
        for verb in self.tasks:
            for name, option in verb.args.items():
                if to_flag(name) in OF_TARGETS and option.raw_value == "":
                    _refuse(_no_value(verb.name or "", option))

    def parse_cleanup(self) -> None:
        if self.args.complete.value:
            # A line that is not understood, as a quote is open, is completed by nothing.
            with suppress(ValueError):
                self._complete()
            raise InvokeExit
        known = {"help": self._verbs, "list": tuple(self.collection.collections), "list-format": FORMATS}
        for option, values in known.items():
            value = self.args[option].value
            if isinstance(value, str) and value not in values:
                _refuse(self._no_such(to_flag(option), value, values))
        if self.args.dry.value and self.tasks:
            _refuse(self._dry())
        try:
            super().parse_cleanup()
        except BrokenPipeError:
            # Who reads a list has had enough; what is left in the stream would fail once more at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise InvokeExit from None

    def list_flat(self) -> None:
        """List the verbs in the order of work."""
        order = {verb: at for at, verb in enumerate(self._verbs)}
        pairs = self._make_pairs(self.scoped_collection)
        names = [f"{self.list_root or ''}{pair[0].partition(' ')[0]}" for pair in pairs]
        ordered = sorted(zip(names, pairs, strict=True), key=lambda one: order.get(one[0], len(order)))
        self.display_with_columns([pair for _, pair in ordered])

    def print_columns(self, tuples: "Sequence[tuple[str, str | None]]") -> None:
        """Print names and what is told of each, broken by the columns that it takes: Chinese takes two a character."""
        if not language.is_spoken():
            super().print_columns(tuples)
            return
        from deploy import output

        margin = self.leading_indent_width + max(len(name) for name, _ in tuples) + self.col_padding
        for name, told in tuples:
            first, *rest = output.broken(told or "", pty_size()[0] - margin - 1)
            lines = (f"{self.leading_indent}{name}".ljust(margin) + first, *(" " * margin + line for line in rest))
            output.write("".join(f"{line.rstrip()}\n" for line in lines))
        output.write("\n")

    @property
    def _verbs(self) -> tuple[str, ...]:
        named = self.collection.task_names.items()
        return tuple(name for one, aliases in named for name in (one, *aliases) if one != self.collection.default)

    def _complete(self) -> None:
        from deploy import output

        # Bash makes a word of the = behind an option. No shell tells a word that has not begun.
        *_, before, last = ("", "", *(word for word in shlex.split(self.core.remainder) if word != "="))
        flag, equals, begun = last.partition("=")
        if flag not in OF_TARGETS:
            flag, equals, begun = before, "", last
        if flag in OF_TARGETS:
            names = [name for name in targets(*self.places) if name.startswith(begun)]
            output.write("".join(f"{flag}={name}\n" if equals else f"{name}\n" for name in names))
            if begun not in names:
                return
        super().parse_cleanup()

    def _misuse(self, machine: "ParseMachine", token: str) -> "Failure":
        """Say what is wrong with the word that the parser has come to."""
        from deploy import remedies
        from deploy.message import Printed, say

        verb, option = machine.context.name or "", machine.flag
        flag = to_flag(option.name) if option else ""
        if option and option.takes_value and option.raw_value is None:
            if option.optional:
                fact = say("inv %s: %s may be the value of %s, or a verb", verb, token, flag)
                return _usage(fact, remedies.join_value(flag, token))
            return _no_value(verb, option)
        if option and option.raw_value == token and option.kind in (int, float):
            number = say("a whole number") if option.kind is int else say("a number")
            fact = say("inv %s: %s takes %s, not %s", verb, flag, number, repr(token))
            return _usage(fact, evidence=(Printed(option.help or ""),))
        if option and sum(one.partition("=")[0] == flag for one in self.core.unparsed) > 1:
            return _usage(say("inv %s: %s is given twice", verb, flag))
        positional = machine.context.positional_args
        if missing := machine.context.missing_positional_args:
            fact = say("inv %s needs %s", verb, tuple(str(one.name).upper() for one in missing))
            return _usage(fact, evidence=tuple(Printed(one.help or "") for one in missing))
        # An option that is not known was taken for what has no option.
        token = next((str(one.value) for one in positional if str(one.value).startswith("-")), token)
        return self._no_option(machine, token) if token.startswith("-") else self._no_verb(machine, token)

    def _no_option(self, machine: "ParseMachine", token: str) -> "Failure":
        from deploy import remedies, words
        from deploy.message import say

        # Invoke takes the letters behind a single - for options of one letter each.
        given = self.core.unparsed
        word = token if token in given else next((one for one in given if one[:1] == "-" != one[1:2]), token)
        verb = machine.context.name or next((one for one in given if one in machine.contexts), "")
        own = tuple(sorted(machine.contexts[verb].flags)) if verb else ()
        if not machine.context.name and word in own:
            return _usage(
                say("%s belongs behind its verb", word), remedies.mean(self._line(word, verb, word, but=verb))
            )
        fact = say("inv %s has no option %s", verb, word) if verb else say("inv has no option %s", word)
        if meant := words.similar(f"--{word.lstrip('-')}", own):
            return _usage(fact, remedies.mean(self._line(word, meant)))
        return _usage(fact, evidence=(say("it has %s", own),) if own else ())

    def _no_verb(self, machine: "ParseMachine", token: str) -> "Failure":
        from deploy import remedies, words
        from deploy.message import say

        fact = say("there is no verb %s", token or repr(token))
        if token in self.collection.collections:
            return _usage(fact, remedies.mean(self._line(token, "--list", token)))
        if "--target" in machine.context.flags and token in targets(*self.places):
            return _usage(fact, remedies.mean(self._line(token, "--target", token)))
        short = next((verb for verb in self._verbs if verb.endswith(f".{token}")), "")
        meant = short or words.similar(token, self._verbs)
        return _usage(fact, remedies.mean(self._line(token, meant)) if meant else remedies.SEE_VERBS)

    def _no_such(self, option: str, value: str, known: Sequence[str]) -> "Failure":
        from deploy import remedies, words
        from deploy.message import say

        fact = say("%s: there is no %s", option, value)
        if meant := words.similar(value, known):
            return _usage(fact, remedies.mean(self._line(value, meant)))
        return _usage(fact, evidence=(say("there are: %s", known),))

    def _dry(self) -> "Failure":
        from deploy import remedies
        from deploy.message import say
        from deploy.shell import sh

        fact = say("--dry is Invoke's own: with it a verb would act all the same")
        words = [word for word in self.argv[1:] if word not in DRY]
        able = "--dry-run" in self.tasks[-1].flags
        return _usage(fact, remedies.mean(sh("inv", *words, "--dry-run")) if able else None)

    def _line(self, word: str, *meant: str, but: str = "") -> str:
        """Give the line with what was meant in place of a word, `but` without another word."""
        from deploy.shell import sh

        given = [one for one in self.argv[1:] if not but or one != but]
        at = next((at for at, one in enumerate(given) if one.partition("=")[0] == word), None)
        if at is None:
            return sh("inv", *meant)
        _, equals, value = given[at].partition("=")
        return sh("inv", *given[:at], *meant[:-1], f"{meant[-1]}{equals}{value}", *given[at + 1 :])


def _stood(error: Exception) -> "tuple[ParseMachine, str]":
    """Tell where Invoke's parser stood when it gave up, and at which word: its errors say so in prose alone."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code is Parser.parse_argv.__code__ and "token" in frame.f_locals:
            return frame.f_locals["machine"], frame.f_locals["token"]
    raise error


def tell_missing(error: BaseException) -> bool:
    """Tell of a package that this Python lacks, without what the report needs; False where it is none of those."""
    if not isinstance(error, ModuleNotFoundError) or str(error.name).partition(".")[0] in OURS:
        return False
    from deploy import output, remedies
    from deploy.message import say

    output.forgive()
    for told in (say("✗ %s lacks %s", sys.executable, str(error.name)), say("→ %s", remedies.OWN_PYTHON)):
        output.write(f"{output.shown(language.plain(told), 'stderr')}\n", "stderr")
    return True


def _no_value(verb: str, option: "Argument") -> "Failure":
    from deploy.message import Printed, say

    fact = say("inv %s: %s needs a value", verb, to_flag(str(option.name)))
    return _usage(fact, evidence=(Printed(option.help or ""),))


def _usage(fact: "Message", remedy: "Told | None" = None, evidence: "Sequence[Told]" = ()) -> "Failure":
    from deploy import remedies
    from deploy.errors import Exit, Failure

    shown = tuple(line for line in evidence if line)
    return Failure(fact, evidence=shown, remedy=remedy or remedies.SEE_HELP, code=Exit.USAGE)


def _refuse(failure: "Failure") -> NoReturn:
    from deploy import output
    from deploy.report import Report

    output.forgive()
    Report().failure(failure)
    raise InvokeExit(code=failure.code)
