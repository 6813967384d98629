"""The settings of one target.

`model` says what there is, `load` reads the files, `written` remembers what stands where in them, `services` narrows
them to another service that runs the code.
"""

from deploy.settings.load import FOREIGN, Chosen, choose, every, is_placeholder, load
from deploy.settings.model import (
    SECTIONS,
    Check,
    Git,
    Group,
    Notice,
    Sections,
    Settings,
    Ssh,
    StampRule,
    Target,
)
from deploy.settings.services import of_service

__all__ = [
    "FOREIGN",
    "SECTIONS",
    "Check",
    "Chosen",
    "Git",
    "Group",
    "Notice",
    "Sections",
    "Settings",
    "Ssh",
    "StampRule",
    "Target",
    "choose",
    "every",
    "is_placeholder",
    "load",
    "of_service",
]
