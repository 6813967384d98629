"""What the script tells is read; an answer that was cut off is none."""

import pytest

from deploy import shell
from deploy.diagnosis import facts
from deploy.diagnosis.records import RECORDS
from deploy.errors import Failure
from deploy.message import Printed
from deploy.shell import record
from deploy.state import Memory
from tests.build import SETTINGS
from tests.shell_words import calls, without_comments

TOLD = (
    ("container", "app", "whalefall", "exited", "137", "true", "2", "", "begun", "ended", "error"),
    ("memory", "app", "", "200", "1"),
    ("words", "app", "why"),
    ("printed", "app", "a line"),
    ("program", "app", "nginx", "RUNNING", "pid 10"),
    ("process", "app", "12", "3", "400", "gunicorn: master"),
    ("nginx", "app", "0"),
    ("log", "app", "/a.log", "one"),
    ("log", "app", "/a.log", "two"),
    ("place", "", "/", "2048", "1024", ""),
    ("file", "/app/static", "/static/a.css", "5a", "60"),
    ("sent", "nginx", "/static/a.css", "200", "5a", "text/css", "no-store", "", "", ""),
    ("refers", "nginx", "/", "/a.js"),
    ("journal", "run-1", "1.0\tbegin\tcopy"),
    ("end",),
)
ANSWER = "".join(f"{record(*fields)}\n" for fields in TOLD)


def test_every_record_is_read() -> None:
    read = facts.parse(SETTINGS, ANSWER)
    (one,) = read.containers
    assert (one.code, one.killed, one.restarts, one.memory, one.nginx) == (137, True, 2, Memory(None, 200, 1), 0)
    assert one.logs == {"/a.log": ("one", "two")}
    assert (one.programs[0].state, one.processes[0].seconds) == ("RUNNING", 3)
    assert (read.places[0].free_mib, read.places[0].inodes) == (1, None)
    assert (read.files[0].seconds, read.sent[0].status) == (60, 200)
    assert (read.refers, read.journals) == ({"nginx": ("/a.js",)}, {"run-1": (Printed("1.0\tbegin\tcopy"),)})
    assert read.doors == {"nginx": "http://localhost", "direct": "http://localhost:5001"}


def test_an_answer_that_was_cut_off_is_a_failure() -> None:
    with pytest.raises(Failure):
        facts.parse(SETTINGS, ANSWER.removesuffix("end\n"))


def test_every_record_that_the_script_tells_of_is_known() -> None:
    source = without_comments(shell.source("diagnose.sh"))
    told = {words[0] for _, _, words in calls(source, "record")} | {
        words[1] for _, _, words in calls(source, "tell_lines")
    }
    assert told - {'"${@:2}"'} <= {one.split()[0] for one in RECORDS}
