"""A `docker` whose containers are this machine: what docker exec is to run, runs here."""

import sys
from pathlib import Path

DOCKER = f"""#!/bin/bash
while [ "$1" != {sys.executable} ]; do shift; done
exec "$@"
"""


def docker_here(folder: Path) -> Path:
    """Make it in a folder, to be the first of PATH."""
    folder.mkdir(exist_ok=True)
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    return folder
