"""Stands for the many modules of the real app: a process is IMPORT_SECONDS old once it has the app."""

import os
import time
from pathlib import Path


def spend() -> None:
    """Wait for as long as importing the real app would have taken beyond this one.

    With IMPORT_BUSY=true compute for that long: like a real import it then takes longer where others compute too.
    """
    seconds = float(os.environ.get("IMPORT_SECONDS", "0"))
    if os.environ.get("IMPORT_BUSY", "false").lower() == "true":
        while time.process_time() < seconds:
            # Enough between two looks at the clock to be a program's time, not the kernel's.
            sum(range(100_000))
        return
    started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    age = float(Path("/proc/uptime").read_text().split()[0]) - started
    time.sleep(max(0.0, seconds - age))
