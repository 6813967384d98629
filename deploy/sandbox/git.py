"""git, away from the settings and hooks of whoever runs the sandbox."""

import os
from pathlib import Path

from deploy.sandbox.command import run

IDENTITY = {"GIT_AUTHOR_NAME": "WhaleFall Team", "GIT_AUTHOR_EMAIL": "team@whalefall.example"}
ENVIRONMENT = {
    **IDENTITY,
    "GIT_COMMITTER_NAME": IDENTITY["GIT_AUTHOR_NAME"],
    "GIT_COMMITTER_EMAIL": IDENTITY["GIT_AUTHOR_EMAIL"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


def git(folder: Path, *arguments: str | Path, date: str = "") -> str:
    """Run git in a folder and return what it printed, without the last newline; `date` is that of a commit."""
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    return run("git", "-C", folder, *arguments, env={**ENVIRONMENT, **dates}).rstrip("\n")


def commit(folder: Path, subject: str, *, date: str = "") -> str:
    """Commit everything in a work tree and return the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", subject, date=date)
    return git(folder, "rev-parse", "HEAD")
