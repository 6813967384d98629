"""What runs inside the app container, by its own Python: look at the app's folder, make it equal to a commit, clean it.

Standard library only (Alembic where a migration chain is read), Python 3.8 or newer. Git is not there: the host sends
these modules, then what git says, over stdin, and runs them as root. An expected error is one line on stderr and
exit status 1.
"""

import json
from importlib.resources import files

# Each after those that it imports; the last one runs the command.
MODULES = (
    "wire", "tree", "record", "chain", "processes", "look", "listing", "staging", "before", "proving", "copying",
    "cleaning", "workers", "rolling", "main",
)  # fmt: skip

# Given to the container's Python with -c. The words after it: the size of the program, the command, its settings.
LOADER = """
import json, os, sys, types
sys.dont_write_bytecode = True
for name, source in json.loads(sys.stdin.buffer.read(int(sys.argv[1]))).items():
    sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), sys.modules[name].__dict__)
sys.modules[name].main(sys.argv[2], json.loads(os.fsencode(sys.argv[3])))
"""


def program() -> str:
    """Pack the modules as the loader reads them: ASCII, so that its length is its size."""
    sources = {f"{__name__}.{name}": files(__name__).joinpath(f"{name}.py").read_text("utf-8") for name in MODULES}
    return json.dumps(sources)
