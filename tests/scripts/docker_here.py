"""A `docker` whose containers are this machine: what docker exec is to run, runs here."""

from pathlib import Path

DOCKER = """#!/bin/bash
[ "$1" = exec ] || exit 1
shift
while :; do
  case $1 in
    -e) export "$2"; shift 2 ;;
    -u | -w) shift 2 ;;
    -*) shift ;;
    *) break ;;
  esac
done
shift
exec "$@"
"""


def docker_here(folder: Path) -> Path:
    """Make it in a folder, to be the first of PATH."""
    folder.mkdir(exist_ok=True)
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    return folder
