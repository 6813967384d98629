"""The settings of one target.

`model` says what there is, `load` reads the files, `written` remembers what stands where in them.
"""

from deploy.settings.load import FOREIGN, load
from deploy.settings.model import (
    SECTIONS,
    Check,
    Git,
    Sections,
    Settings,
    Ssh,
    StampRule,
    Target,
)

__all__ = ["FOREIGN", "SECTIONS", "Check", "Git", "Sections", "Settings", "Ssh", "StampRule", "Target", "load"]
