"""Who imports the app of a sandbox for a run, and with what: a module in PYTHONPATH notes it."""

from deploy.sandbox.compose import execute
from deploy.sandbox.home import Sandbox

FOLDER = "/srv/noting"
# The processes that serve are none of a run.
PROGRAM = """
import os, pwd, sys

class Noting:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "app.health" and "HOT_UPDATE_RUN" in os.environ:
            user = pwd.getpwuid(os.geteuid()).pw_name
            with open(__file__ + ".noted", "a") as stream:
                print(os.path.basename(sys.argv[0]), user, os.environ.get("EXPORTED"), file=stream)

sys.meta_path.insert(0, Noting)
"""


def watch(sandbox: Sandbox) -> None:
    """Begin anew: from here on what has FOLDER in its PYTHONPATH is noted."""
    made = f"mkdir -p {FOLDER}; chmod 777 {FOLDER}; cd {FOLDER}; rm -f *.noted; cat >sitecustomize.py"
    execute(sandbox.app, "sh", "-c", made, stdin=PROGRAM)


def noted(sandbox: Sandbox) -> list[str]:
    """A line for each import: the program, its user, and what it has exported."""
    return execute(sandbox.app, "cat", f"{FOLDER}/sitecustomize.py.noted").splitlines()
