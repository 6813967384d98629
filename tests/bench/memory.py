"""Tell a program's peak memory, from within: the kernel's own figure of a child has its parent's in it.

python -m tests.bench.memory inv ARGUMENT... runs a verb; python -m tests.bench.memory fabric HOST KEY only connects.
The last line that it prints is the peak, in KiB.
"""

import re
import sys
from pathlib import Path


def peak() -> int:
    """Return the most memory that this process ever had, in KiB."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found, "Linux tells it"
    return int(found[1])


def main(program: str, *arguments: str) -> int:
    if program == "fabric":
        import fabric  # type: ignore[import-untyped]

        host, key = arguments
        with fabric.Connection(host, connect_kwargs={"key_filename": key}) as connection:
            connection.open()
    else:
        from invoke.main import program as invoke

        try:
            invoke.run(["inv", *arguments], exit=False)
        except SystemExit as ended:
            return int(ended.code or 0)
    print(peak())  # noqa: T201 - for whoever started this
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
