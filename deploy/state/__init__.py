"""The host's whole state: `script` reads it in `records`, `answer` understands these, `model` is what they tell."""

from deploy.state.answer import parse, past_run, with_texts
from deploy.state.model import (
    App,
    Chain,
    Container,
    Database,
    PastRun,
    Probe,
    Probed,
    Record,
    Repository,
    Revision,
    Sibling,
    State,
    TargetIs,
)
from deploy.state.script import image_pathspecs, inside_settings, read_script, variables

__all__ = [
    "App",
    "Chain",
    "Container",
    "Database",
    "PastRun",
    "Probe",
    "Probed",
    "Record",
    "Repository",
    "Revision",
    "Sibling",
    "State",
    "TargetIs",
    "image_pathspecs",
    "inside_settings",
    "parse",
    "past_run",
    "read_script",
    "variables",
    "with_texts",
]
