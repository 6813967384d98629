"""Tells every minute how much of the disk is free. A program for Supervisor: python -m app.disk_watch."""

import logging
import shutil
import time

logging.basicConfig(level=logging.INFO)
while True:
    logging.info("%d MiB free", shutil.disk_usage(".").free >> 20)
    time.sleep(60)
