"""Verbs in processes of their own that are forked from one which has imported everything: most of a verb's processor
time would be its imports.
"""

import multiprocessing
import os
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

# What some verb imports while it runs.
MODULES = (
    "deploy.discovery",
    "deploy.health",
    "deploy.host.local",
    "deploy.host.loopback",
    "deploy.host.ssh",
    "deploy.probe",
    "deploy.report",
    "deploy.verbs.backup",
    "deploy.verbs.group_update",
    "deploy.verbs.health",
    "deploy.verbs.init",
    "deploy.verbs.migrate",
    "invoke.main",
    "rich.table",
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*MODULES, "pytest"])


def run(words: tuple[str, ...], folder: Path, seconds: float) -> tuple[int, str, str]:
    """Run inv with these words in a folder, without a terminal: its exit code and what it printed on both streams."""
    with TemporaryDirectory() as place:
        files = tuple(str(Path(place) / name) for name in ("out", "err"))
        process = _context.Process(target=_be_inv, args=(words, str(folder), dict(os.environ), files))
        process.start()
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"inv {' '.join(words)} goes on after {seconds:g} s")
        out, err = (Path(file).read_text(encoding="utf-8", errors="surrogateescape") for file in files)
    return process.exitcode, out, err


def _be_inv(words: tuple[str, ...], folder: str, environment: dict[str, str], files: tuple[str, str]) -> None:
    for descriptor, file in ((1, files[0]), (2, files[1])):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it ends with us
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["inv", *words]
    try:
        import_module("invoke.main").program.run()
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - as Python itself would
        sys.excepthook(*sys.exc_info())
        raise SystemExit(1) from None
