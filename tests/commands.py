"""Commands of ours that a text gives: each has to exist, with these flags, and to name its target."""

import re
import shlex
from functools import cache

from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext

GIVEN = re.compile(r"\binv((?: [^\s→·;,()]+)+)")


@cache
def contexts() -> dict[str, ParserContext]:
    import tasks

    known = tasks.namespace.to_contexts()
    return {str(name): context for context in known for name in (context.name, *context.aliases)}


def wrong(text: str) -> list[str]:
    """Tell what is wrong with the commands in a text."""
    return [told for found in GIVEN.finditer(text) if (told := _wrong(found[1].split()))]


def _wrong(words: list[str]) -> str:
    name, *rest = (word.rstrip(".:'") for word in words)
    if name not in contexts():
        return f"inv {name}: there is no such verb"
    context, given = contexts()[name], [name]
    positional = len(context.positional_args)
    while rest and (rest[0].startswith("-") or positional):
        flag = rest.pop(0)
        given.append(flag)
        positional -= not flag.startswith("-")
        if flag in context.flags and context.flags[flag].takes_value and rest:
            given.append(rest.pop(0))
    try:
        Parser(list(dict.fromkeys(contexts().values()))).parse_argv(given)
    except ParseError as error:
        return f"{shlex.join(('inv', *given))}: {error}"
    if "--target" in context.flags and "--target" not in given:
        return f"{shlex.join(('inv', *given))}: without its target"
    return ""
