"""Log files in USERDATA/logs; without that variable under userdata, relative to the working directory."""

import logging
import os
from pathlib import Path

FOLDER = Path(os.environ.get("USERDATA", "userdata"), "logs")
FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def configure() -> None:
    """Send everything to whalefall.log and errors to whalefall_error.log too."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("whalefall")
    logger.setLevel(logging.INFO)
    for name, level in (("whalefall.log", logging.INFO), ("whalefall_error.log", logging.ERROR)):
        handler = logging.FileHandler(FOLDER / name, delay=True)
        handler.setLevel(level)
        handler.setFormatter(FORMAT)
        logger.addHandler(handler)
