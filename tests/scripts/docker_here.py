"""A `docker` whose containers are this machine: what docker exec is to run, runs here."""

from pathlib import Path

DOCKER = """#!/bin/bash
case $1 in
  # Of a path, its archive; of -, what is in the archive on stdin.
  cp)
    if [ "$4" = - ]; then tar -C "$(dirname "${3#*:}")" -cf - "$(basename "${3#*:}")"; else tar -C "${4#*:}" -xf -; fi
    exit ;;
  exec) shift ;;
  *) exit 1 ;;
esac
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
