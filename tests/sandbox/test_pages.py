"""The commands of the README and the pages below docs/ are run, as they stand there; what others run is named."""

import re
from pathlib import Path

import pytest

from deploy.sandbox import stack
from deploy.sandbox.home import Sandbox
from tests import commands, pages
from tests.sandbox.conftest import Inv

ROOT = Path(__file__).resolve().parents[2]
# In the order of a night before production, by somebody who agrees to all that is asked.
SESSION = (
    "inv preflight",
    "inv hot-update --dry-run",
    "inv migrate --current",
    "inv migrate --history",
    "inv migrate --sql",
    "inv hot-update --json --yes",
    "inv status",
    "inv health",
    "inv history",
    "inv logs",
    "inv attach",
    "inv hot-update",
    "inv hot-update --probe",
    "inv hot-update --watch-after 300",
    "inv sync",
    "inv copy",
    "inv clean",
    "inv migrate",
    "inv restart",
    "inv backup",
    "inv backup --list",
    "inv rollback --list",
    "inv rollback",
    "inv rollback --to {new}",
    "inv restore",
    "inv restore --backup {dump}",
    "inv bake",
    "inv bake --undo",
    "inv unlock",
)
# What a page has an example of, and what is given instead.
EXAMPLES = {"1a2b3c4": "{new}", "20260101T000000-abcd": "{dump}"}
# Which file runs the others, and by which words in it.
ELSEWHERE = {
    "inv test": (".ci/run", "inv test --install"),
    "inv test --install": (".ci/run", "inv test --install"),
    "inv test --deep": (".ci/run", "inv test"),
    "inv sandbox.up --install hot-update --yes": ("tests/sandbox/conftest.py", "stack.up("),
    "inv sandbox.up --shape celery --name blue": ("tests/sandbox/conftest.py", 'shape="celery"'),
    "inv sandbox.up --name trio --hosts 3": ("tests/sandbox/conftest.py", "hosts=3"),
    "inv sandbox.down": ("tests/sandbox/conftest.py", "stack.down("),
    "inv sandbox.down --name blue": ("tests/sandbox/conftest.py", "stack.down("),
    "inv sandbox.break": ("tests/sandbox/test_breaks.py", "stack.break_("),
    "inv sandbox.break dirty": ("tests/sandbox/test_breaks.py", '"dirty"'),
    "inv sandbox.release": ("tests/sandbox/test_runs.py", "stack.release("),
    "inv sandbox.release migration": ("tests/sandbox/test_pages.py", '"migration"'),
    "inv doctor": ("tests/host/test_doctor.py", '"doctor"'),
    "inv diagnose": ("tests/sandbox/test_diagnose.py", '"diagnose"'),
    "inv diagnose --bundle diagnosis.txt": ("tests/sandbox/test_diagnose.py", '"--bundle"'),
    "inv maintenance on": ("tests/sandbox/test_maintenance.py", '"maintenance", "on"'),
    "inv maintenance off": ("tests/sandbox/test_maintenance.py", '"maintenance", "off"'),
    "inv hot-update --maintenance": ("tests/sandbox/test_maintenance.py", '"--maintenance"'),
    "inv init": ("tests/sandbox/adopting.py", '"init"'),
    "inv init --host deploy@shop.example.org --path /srv/shop": ("tests/sandbox/adopting.py", 'f"--host='),
    "inv init --check": ("tests/sandbox/adopting.py", '"--check"'),
    "inv test.faults": ("tests/faults/test_faults.py", "cells.carry_out("),
    "inv test.faults --only app-killed": ("tests/faults/test_faults.py", "cells.carry_out("),
    "inv test.faults --point restart": ("tests/faults/test_faults.py", "cells.carry_out("),
    "inv test.faults --shape today --only step-fails --point copy --file /tmp/cell.jsonl": (
        "tests/faults/test_faults.py",
        "cells.carry_out(",
    ),
    "inv bench --quick": ("tests/bench/test_bench.py", "chosen("),
    "inv bench --cases nothing,code": ("tests/bench/test_bench.py", "chosen("),
    "inv bench --plot docs/bench.svg": ("tests/bench/test_plot.py", "plot("),
    "inv messages": ("tests/test_language.py", "untranslated()"),
    "inv docs": ("tests/reference/test_reference.py", "pages.made("),
    "inv docs.recording": ("tests/test_recording.py", "play("),
}


def test_every_command_of_the_pages_is_run_by_a_test() -> None:
    told = {re.sub("|".join(EXAMPLES), lambda found: EXAMPLES[found[0]], one) for one in pages.commands()}
    assert told == {*SESSION, *ELSEWHERE}
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file, _ in ELSEWHERE.values()}
    assert [command for command, (file, words) in ELSEWHERE.items() if words not in texts[file]] == []


@pytest.mark.stack
@pytest.mark.deep
def test_the_commands_of_the_pages_end_as_they_should(today: Sandbox, inv_today: Inv) -> None:
    stack.release(today.name, "code")
    assert inv_today("hot-update", "--yes").code == 0
    new = stack.release(today.name, "migration")
    dump = ""
    for command in SESSION:
        verb, *words = command.format(new=new, dump=dump).split()[1:]
        agreed = ["--yes"] if "--yes" in commands.contexts()[verb].flags and "--yes" not in words else []
        ended = inv_today(verb, *words, *agreed)
        assert ended.code == 0, f"{command}\n{ended.text}"
        if command == "inv backup --list":
            dump = re.findall(r"\d{8}T\d{6}-[0-9a-f]{4}", ended.out)[0]
