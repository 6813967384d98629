"""The log file of the app itself, relative to the working directory."""

import logging
from pathlib import Path

FILE = Path("userdata/logs/app.log")
FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def configure() -> None:
    """Send everything to app.log."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(FILE, delay=True)
    handler.setFormatter(FORMAT)
    logger = logging.getLogger("whalefall")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
