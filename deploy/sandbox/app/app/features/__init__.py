"""Features plug in by lying here: register(application) and start() are called where a module has them."""

from importlib import import_module
from pkgutil import iter_modules

from flask import Flask


def register(application: Flask) -> None:
    """Let every feature add itself to the application."""
    _call("register", application)


def start() -> None:
    """Let every feature start what runs in a worker."""
    _call("start")


def _call(hook: str, *arguments: object) -> None:
    for found in sorted(iter_modules(__path__), key=lambda module: module.name):
        feature = import_module(f"{__name__}.{found.name}")
        getattr(feature, hook, lambda *_: None)(*arguments)
