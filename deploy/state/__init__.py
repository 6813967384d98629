"""The host's whole state: `script` reads it in `records`, `answer` understands these, `model` is what they tell.

What we keep there ourselves is understood by `kept`.
"""

from deploy.state import kept
from deploy.state.answer import parse, with_texts
from deploy.state.model import (
    App,
    Chain,
    Commit,
    Container,
    Database,
    Installed,
    Memory,
    Named,
    Other,
    PastRun,
    Preview,
    Probe,
    Probed,
    Program,
    Record,
    Repository,
    Revision,
    Sibling,
    Sources,
    State,
    TargetIs,
    Versions,
)
from deploy.state.script import asking, dumping, image_pathspecs, inside_settings, probes, read_script, variables

__all__ = [
    "App",
    "Chain",
    "Commit",
    "Container",
    "Database",
    "Installed",
    "Memory",
    "Named",
    "Other",
    "PastRun",
    "Preview",
    "Probe",
    "Probed",
    "Program",
    "Record",
    "Repository",
    "Revision",
    "Sibling",
    "Sources",
    "State",
    "TargetIs",
    "Versions",
    "asking",
    "dumping",
    "image_pathspecs",
    "inside_settings",
    "kept",
    "parse",
    "probes",
    "read_script",
    "variables",
    "with_texts",
]
