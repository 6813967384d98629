"""Stands for the many modules of the real app: importing this one takes IMPORT_SECONDS."""

import os
import time

time.sleep(float(os.environ.get("IMPORT_SECONDS", "0")))
