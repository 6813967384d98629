"""What a person reads of what is told."""

from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

from deploy.errors import Failure
from deploy.message import Message
from deploy.wording import text


def as_text(value: Any) -> Any:
    """Give a failure, a finding, a plan or the like with the text in place of each message."""
    match value:
        case Message():
            return text(value)
        case Failure():
            return SimpleNamespace(**{name: as_text(part) for name, part in vars(value).items()})
        case tuple() | list():
            return tuple(map(as_text, value))
        case _ if is_dataclass(value) and not isinstance(value, type):
            return SimpleNamespace(**{field.name: as_text(getattr(value, field.name)) for field in fields(value)})
    return value
