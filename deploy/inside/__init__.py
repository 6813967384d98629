"""What runs inside the app container, by its own Python: look at the app's folder, make it equal to a commit, clean it.

Standard library only, Python 3.9 or newer; nothing of a release is run. Git is not there: the host sends
these modules, where the container has not kept them, then what git says, over stdin, and runs them as root. The first
lines that they print, up to a line ".", ask the host for what it has to send. What a person will read is a packed
message, a line each; an expected error is one on stderr, with exit status 1.
"""

import base64
import hashlib
import json
import zlib
from functools import cache
from importlib.resources import files

# All that a command may import; main runs it.
MODULES = (
    "message", "wire", "pace", "mounts", "tree", "record", "builds", "chain", "processes", "as_worker", "programs",
    "rolls", "workers", "uwsgi", "survey", "nginx", "elsewhere", "installing", "maintaining", "look", "listing",
    "whole", "staging", "before", "proving", "copying", "cleaning", "rolling", "replacing", "awaiting", "shipping",
    "sqlite", "database", "dumping", "main",
)  # fmt: skip

# Given to the container's Python with -c. The words after it: the program's digest, the command, its settings. It says
# whether the program is `kept` from an earlier run, or the host has to `send` it. It is kept compiled, since that takes
# longer than most commands, behind a sum of that, the digest and the Python's version; a command runs the modules that
# it imports. With "-" for the command it stands ready: that comes as a line, "COMMAND<tab>SETTINGS".
LOADER = """
import hashlib, json, marshal, os, sys, types
from importlib.machinery import ModuleSpec
sys.dont_write_bytecode = True
digest, command, settings = sys.argv[1], sys.argv[2], json.loads(os.fsencode(sys.argv[3]))
try:
    with open(os.path.join(settings["record"], "program"), "rb") as stream:
        known, code = stream.read(32), stream.read()
except OSError:
    known = code = b""
def sum_of(code):
    return hashlib.sha256((digest + sys.version).encode() + code).digest()
kept = known == sum_of(code)
print("kept" if kept else "send", flush=True)
if not kept:
    import base64, zlib
    program = sys.stdin.buffer.readline().rstrip(b"\\n")
    if hashlib.sha256(program).hexdigest() != digest:
        sys.exit("\\x1fsay:%s: the program was cut off on its way into the container\\t" + command)
    sources = json.loads(zlib.decompress(base64.b64decode(program)))
    code = marshal.dumps([(name, compile(source, name, "exec")) for name, source in sources.items()])
codes = dict(marshal.loads(code))
class Kept:
    find_spec = staticmethod(lambda name, *_: ModuleSpec(name, Kept) if name in codes else None)
    create_module = staticmethod(lambda spec: None)
    exec_module = staticmethod(lambda module: exec(codes[module.__name__], module.__dict__))
for package in ("deploy", "deploy.inside"):
    sys.modules[package] = types.ModuleType(package)
    sys.modules[package].__path__ = []
sys.meta_path.insert(0, Kept)
if command == "-":
    for name in codes:
        __import__(name)
    command, _, settings = os.fsdecode(sys.stdin.buffer.readline()).partition("\t")
    settings = json.loads(settings or sys.exit())
from deploy.inside.main import main
main(command, settings, None if kept else sum_of(code) + code)
"""


@cache
def program() -> str:
    """Pack the modules as the loader reads them: one line of ASCII."""
    sources = {f"{__name__}.{name}": files(__name__).joinpath(f"{name}.py").read_text("utf-8") for name in MODULES}
    return base64.b64encode(zlib.compress(json.dumps(sources).encode("ascii"), 9)).decode("ascii")


def variables() -> dict[str, str]:
    """Name the program as the scripts on the host know it."""
    packed = program()
    digest = hashlib.sha256(packed.encode("ascii")).hexdigest()
    return {"inside_program": packed, "inside_digest": digest, "inside_loader": LOADER}


def as_worker_program() -> str:
    """Give what runs a command as the app server's workers run: a program of its own, run as root."""
    return _apart("message", "processes", "as_worker")


def discovering() -> str:
    """Give what tells what a container has and runs: a program of its own, run as root, that keeps nothing there."""
    return _apart("message", "wire", "processes", "as_worker", "programs", "discovering")


def logs() -> str:
    """Give what tells the container's logs: a program of its own, run as root, that changes nothing there."""
    return _apart("message", "moments", "logs")


def _apart(*modules: str) -> str:
    sources = {f"{__name__}.{name}": files(__name__).joinpath(f"{name}.py").read_text("utf-8") for name in modules}
    return f"""
import sys, types
sys.dont_write_bytecode = True
for name, source in {sources!r}.items():
    sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), sys.modules[name].__dict__)
sys.modules[name].main(*sys.argv[1:])
"""


def standby() -> str:
    """Give what keeps the app imported between the commands of a run: a program, run as the workers' user."""
    return files(__name__).joinpath("standby.py").read_text("utf-8")
