"""What the reading script answers, as values."""

import json
import re
from importlib.resources import files

import pytest

from deploy import shell, state
from deploy.errors import Failure
from deploy.message import Printed
from deploy.state import Installed, Maintained, kept
from deploy.state.records import RECORDS
from deploy.state.script import SOURCES
from tests.build import BLOB, SETTINGS
from tests.texts import as_text


def answer(*rows: tuple[str, ...]) -> str:
    return "".join("\t".join(row) + "\n" for row in (*rows, ("end",)))


INSIDE: dict[str, object] = {
    "record": None,
    "owner": "0:0",
    "free_mib": 9,
    "drift": [],
    "differs": {"a": BLOB, "b": None},
    "files": {"nginx": {"place": "/etc/nginx/site", "differs": True, "edited": False}},
    "programs": [],
    "chain": {"error": "SyntaxError in x.py"},
    "target_chain": {"heads": ["r"], "revisions": [{"revision": "r", "down": [], "depends": [], "doc": ""}]},
    "mounted": {},
    "problems": [],
    "migrating": [],
}


def test_an_answer_without_its_end_is_a_failure() -> None:
    with pytest.raises(Failure, match="did not tell its whole state"):
        state.parse("host\troot\tprod\tboot\nenv\tthere\n")


def test_a_host_without_anything_is_still_a_state() -> None:
    found = state.parse(answer(("host", "root", "prod", "boot")))
    assert (found.user, found.app, as_text(found.repository.problem), as_text(found.database.problem)) == (
        "root",
        None,
        "not read",
        "not asked",
    )


def test_files_that_the_container_lacks_are_told_from_those_that_differ() -> None:
    found = state.parse(answer(("host", "root", "prod", "boot"), ("app", json.dumps(INSIDE))))
    assert found.app is not None
    assert found.app.differs == {"a": BLOB, "b": None}
    assert found.app.files == {"nginx": Installed("/etc/nginx/site", True, False)}


def test_the_targets_migrations_count_before_those_in_the_container() -> None:
    found = state.parse(answer(("host", "root", "prod", "boot"), ("app", json.dumps(INSIDE))))
    assert found.chain is not None
    assert found.chain.heads == ("r",)


def test_of_a_check_only_the_paths_up_to_the_first_that_is_not_404_count() -> None:
    rows = [
        ("probe", "direct", f"http://x/{path}", status) for path, status in (("a", "404"), ("b", "200"), ("c", "500"))
    ]
    found = state.parse(answer(("host", "root", "prod", "boot"), *rows))
    assert [probe.status for probe in found.probes["direct"]] == [404, 200]


def test_every_record_of_the_reading_script_is_declared() -> None:
    """What is not would count as text, and what it says could not be decided on."""
    # The guard's records get their kind where they are told.
    kinds = [f"scripts/database/{one.name}" for one in files("deploy").joinpath("scripts/database").iterdir()]
    script = "".join(shell.source(name) for name in (*SOURCES, *kinds) if name != "guard.sh")
    script = re.sub(r"^ *#.*", "", script, flags=re.MULTILINE)
    said = set(re.findall(r"\brecord ([a-z_]+)", script)) | set(re.findall(r"select '(db_[a-z]+)'", script))
    said |= set(re.findall(r"s[/#]\^/([a-z_]+)\\t/", script))
    declared = {fields.split()[0] for fields in RECORDS}
    assert said - {"differs_"} <= declared
    assert {f"differs_{kind}" for kind in re.findall(r"\bdiffering ([a-z]+)", script)} <= declared


def test_texts_of_the_container_are_put_back_where_its_facts_refer_to_them() -> None:
    inside = INSIDE | {"chain": {"error": {"/text": 1}}, "problems": [{"/text": 0}, {"/text": 7}]}
    texts = (("app_text", "owner: no such user"), ("app_text", "SyntaxError in [A_KEY].py"))
    found = state.parse(answer(("host", "root", "prod", "boot"), ("app", json.dumps(inside)), *texts))
    assert found.app is not None
    assert found.app.chain == state.Chain(error=Printed("SyntaxError in [A_KEY].py"))
    assert found.app.problems == ("owner: no such user", "")


PAST = ("20", "r1", "hot-update", "ada", "", "1" * 40, "10", "done", "", "copy 0 1.5")


def test_a_past_run_tells_what_its_probe_met() -> None:
    assert kept.past_run((*PAST, "312 2 0.131 0.02 2.9")).probe == state.Probed(312, 2, 0.131, 0.02, 2.9)


def test_what_a_probe_met_may_be_older_than_the_waits_for_locks() -> None:
    assert kept.past_run((*PAST, "312 2 0.131 0.02")).probe == state.Probed(312, 2, 0.131, 0.02)


@pytest.mark.parametrize("row", [PAST, (*PAST, "")])
def test_a_past_run_may_be_older_than_the_probe_or_have_had_none(row: tuple[str, ...]) -> None:
    assert (kept.past_run(row).probe, kept.past_run(row).steps) == (None, (("copy", 0, 1.5),))


@pytest.mark.parametrize(("label", "expected"), [("1111111", "1111111"), ("", "2222222")])
def test_the_images_label_counts_before_the_commit_whose_files_it_has(label: str, expected: str) -> None:
    found = state.parse(answer(("image", label, "2026-01-01T00:00:00Z"), ("matching", "2222222")))
    assert (found.image_revision, found.image_created) == (expected, "2026-01-01T00:00:00Z")


def test_an_image_has_the_release_that_it_names_or_that_the_files_of_its_container_match() -> None:
    container = ("container", "app", "app", "c1", "sha256:1", "running", "0", *[""] * 10)
    rows = (
        container,
        ("matching", BLOB, "Release 1"),
        ("tagged", "shop:1", "sha256:1", "2026-01-01T00:00:00Z", "", ""),
    )
    found = state.parse(answer(*rows, ("tagged", "shop:0", "sha256:0", "2025-01-01T00:00:00Z", "x", "")))
    assert [(one.name, one.revision, one.subject) for one in found.tagged] == [
        ("shop:1", BLOB, "Release 1"),
        ("shop:0", "", ""),
    ]


def test_which_containers_have_the_maintenance_page_is_told_and_what_cannot_be_understood_is_passed_over() -> None:
    good = ("maintenance", "app", "c1", "20260101T000000-abcd", "1767225600")
    found = state.parse(answer(good, ("maintenance", "web", "c2", "20260101T000000-abcd", "soon")))
    assert found.maintained == (Maintained("app", "c1", "20260101T000000-abcd", 1767225600),)
    assert [as_text(problem) for problem in found.damaged] == ["maintenance: the file cannot be understood"]


def test_the_room_for_a_dump_is_told_in_whole_mib() -> None:
    found = state.parse(answer(("backup_room", "2047"), ("database", ""), ("db_size", "7000000")))
    assert (found.backup_free_mib, found.database.size) == (1, 7000000)


def test_the_guard_is_kept_as_the_host_wrote_it() -> None:
    found = state.parse(answer(("guard", "container", "abc"), ("guard", "work tree", "a\\tb")))
    assert found.guard == "container\tabc\nwork tree\ta\\tb\n"


def test_patterns_become_pathspecs_of_git() -> None:
    assert state.image_pathspecs(SETTINGS)[-2:] == (":(exclude,glob)nginx/gunicorn/**", ":(exclude,glob)nginx/local/**")
    assert state.image_pathspecs(SETTINGS)[0] == ":(glob)pyproject.toml"


CHAIN_OF_1 = {"heads": ["1"], "revisions": [{"revision": "1", "down": [], "depends": [], "doc": ""}]}


def database(*rows: str) -> state.Database:
    app = json.dumps({**INSIDE, "chain": CHAIN_OF_1, "target_chain": None})
    return state.parse("\n".join((f"app\t{app}", "database\t", "db_tables\t3", *rows, "end", ""))).database


@pytest.mark.parametrize(
    ("rows", "table", "revisions"),
    [
        (
            ["db_version_table\tpublic.alembic_version\t32\tt", "db_revision\tpublic.alembic_version\t9"],
            "public.alembic_version",
            ("9",),
        ),
        (["db_version_table\tops.versions\t64\tf", "db_revision\tops.versions\t1"], "ops.versions", ("1",)),
        (
            [
                "db_version_table\ta.v\t32\tf",
                "db_version_table\tb.v\t32\tf",
                "db_revision\ta.v\t8",
                "db_revision\tb.v\t1",
            ],
            "b.v",
            ("1",),
        ),
        (
            [
                "db_version_table\told.v\t32\tf",
                "db_version_table\tpublic.alembic_version\t32\tt",
                "db_revision\told.v\t1",
                "db_revision\tpublic.alembic_version\t1",
            ],
            "public.alembic_version",
            ("1",),
        ),
        (["db_version_table\ta.v\t32\tf", "db_version_table\tb.v\t32\tf"], "", ()),
        ([], "", ()),
    ],
    ids=["the usual one", "elsewhere", "of several that of this code", "not its copy", "none to choose", "none"],
)
def test_the_revision_is_that_of_the_table_that_the_code_knows(
    rows: list[str], table: str, revisions: tuple[str, ...]
) -> None:
    found = database(*rows)
    assert (found.version_table, found.revisions) == (table, revisions)


def test_what_shows_that_there_was_a_revision_is_told() -> None:
    run = "history\t1\tr1\thot-update\tx\t\t\t1\tdone\t\tbackup 0 1,migrate 0 1.5\t"
    found = database("db_version_table\ta.v\t32\tf", run, "dumped\tr0\t1")
    assert as_text(found.traces) == ("there is the table a.v", "the run r1 migrated it", "the dump r0 has it at 1")
