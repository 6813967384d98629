from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.errors import Exit, Failure
from deploy.settings import FOREIGN, SECTIONS, Git, Settings, StampRule, Target, choose, load
from tests.texts import as_text

REPOSITORY = Path(__file__).parents[2]
TARGETS = "targets: {prod: {host: deploy@host}}\n"

Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Write:
    """Write a project's invoke.yaml, by default with one target in front of the text."""

    def write(text: str = "", *, targets: str = TARGETS) -> Path:
        (tmp_path / "invoke.yaml").write_text(targets + text, encoding="utf-8")
        return tmp_path

    return write


def problems(project: Path, **options: Any) -> list[str]:
    with pytest.raises(Failure) as caught:
        load(project=project, **options)
    assert caught.value.code == Exit.USAGE
    return list(as_text(caught.value).evidence)


def sandbox(project: Path, name: str, text: str) -> None:
    folder = project / ".sandbox" / name
    folder.mkdir(parents=True)
    (folder / "target.yaml").write_text(text, encoding="utf-8")


def commented() -> dict[str, Any]:
    text = (REPOSITORY / "invoke.yaml").read_text(encoding="utf-8")
    return {key: value for key, value in yaml.safe_load(text).items() if key in SECTIONS}


# Defaults


def test_the_committed_file_says_the_defaults(project: Write) -> None:
    bare = project(targets="targets: {here: {local: true}}\ndefault_target: here\n")

    assert load(project=REPOSITORY, target="here") == load(project=bare)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_stands_in_the_committed_file(section: str, project: Write) -> None:
    ours = getattr(load(project=project()), section)

    keys = [key.name for key in fields(ours)] if is_dataclass(ours) else list(ours)
    assert list(commented()[section]) == keys


def test_a_target_has_only_to_be_reachable(project: Write) -> None:
    assert load(project=project()).target == Target("prod", host="deploy@host", path="/opt/whalefall")


def test_settings_cannot_be_changed(project: Write) -> None:
    settings = load(project=project())

    with pytest.raises(FrozenInstanceError):
        settings.git.branch = "other"  # type: ignore[misc]


# Layers


def test_a_target_overrides_a_general_setting(project: Write) -> None:
    place = project("git: {branch: general}\n", targets="targets: {prod: {host: h, git: {branch: own}}}\n")

    assert load(project=place).git == Git(branch="own")


def test_another_target_s_override_does_not_count(project: Write) -> None:
    place = project(targets="targets: {prod: {host: h}, other: {host: h, git: {branch: own}}}\n")

    assert load(project=place).git == Git()


def test_the_f_file_overrides_one_key_of_a_section(project: Write, tmp_path: Path) -> None:
    place = project("git: {branch: general, remote: upstream}\n")
    extra = tmp_path / "mine.yaml"
    extra.write_text("git: {branch: mine}\n")

    assert load(project=place, extra=extra).git == Git(remote="upstream", branch="mine")


def test_the_f_file_wins_over_a_target_s_own_settings(project: Write, tmp_path: Path) -> None:
    place = project(targets="targets: {prod: {host: h, git: {branch: own, remote: own}}}\n")
    extra = tmp_path / "mine.yaml"
    extra.write_text("git: {branch: mine}\n")

    assert load(project=place, extra=extra).git == Git(remote="own", branch="mine")


def test_what_the_f_file_says_of_the_target_wins_over_what_it_says_in_general(project: Write, tmp_path: Path) -> None:
    extra = tmp_path / "mine.yaml"
    extra.write_text("git: {branch: mine}\ntargets: {prod: {git: {branch: target}}}\n")

    assert load(project=project(), extra=extra).git.branch == "target"


def test_a_list_is_replaced_and_not_merged(project: Write, tmp_path: Path) -> None:
    place = project("env: {required: [A, B]}\n")
    extra = tmp_path / "mine.yaml"
    extra.write_text("env: {required: [C]}\n")

    env = load(project=place, extra=extra).env
    assert env
    assert env.required == ("C",)


def test_the_f_file_may_be_json(project: Write, tmp_path: Path) -> None:
    extra = tmp_path / "mine.json"
    extra.write_text('{"git": {"branch": "mine"}}')

    assert load(project=project(), extra=extra).git.branch == "mine"


def test_overrides_win_over_a_target_s_own_settings(project: Write) -> None:
    place = project(targets="targets: {prod: {host: h, git: {branch: own}}}\n")

    assert load(project=place, overrides={"git": {"branch": "given"}}).git.branch == "given"


def test_a_sandbox_registers_its_target(project: Write) -> None:
    place = project()
    sandbox(place, "sandbox", "targets: {sandbox: {host: root@127.0.0.1:2222, path: /srv/app}}\n")

    assert load(project=place, target="sandbox").target.path == "/srv/app"


def test_the_f_file_overrides_a_sandbox(project: Write, tmp_path: Path) -> None:
    place = project()
    sandbox(place, "sandbox", "targets: {sandbox: {host: h, health: {timeout: 5}}}\n")
    extra = tmp_path / "mine.yaml"
    extra.write_text("targets: {sandbox: {health: {timeout: 7}}}\n")

    assert load(project=place, extra=extra, target="sandbox").health.timeout == 7


def test_the_default_target_can_be_chosen(project: Write) -> None:
    place = project("default_target: other\n", targets="targets: {prod: {host: a}, other: {host: b}}\n")

    assert load(project=place).target.name == "other"


def test_the_keys_of_invoke_and_fabric_are_left_alone(project: Write) -> None:
    place = project("run: {echo: no}\nconnect_kwargs: {password: 0123}\n")

    assert load(project=place).target.name == "prod"


def test_the_keys_left_alone_are_those_that_invoke_and_fabric_know() -> None:
    config = import_module("fabric").Config

    # Invoke documents debug and keeps no default for it.
    assert {*config.global_defaults(), "debug"} == FOREIGN


def test_an_anchor_may_be_used_twice_and_its_keys_overridden(project: Write) -> None:
    common = "git: &git {remote: up, branch: a}\n"
    targets = "targets: {prod: &prod {host: h, git: &own {<<: *git, branch: b}}, other: {host: h, git: *own}}\n"

    assert load(project=project(targets, targets=common), target="other").git == Git(remote="up", branch="b")


def test_a_list_of_mappings_becomes_typed(project: Write) -> None:
    place = project('migrate: {stamp: [{revision: "0123", columns: {a.b: present}}]}\n')

    assert load(project=place).migrate.stamp == (StampRule("0123", {"a.b": "present"}),)


def test_a_protected_path_is_brought_to_the_form_that_git_tells(project: Write) -> None:
    assert load(project=project("copy: {protected: [./.env, userdata/]}\n")).copy.protected == (".env", "userdata")


def test_an_expected_value_keeps_its_type(project: Write) -> None:
    check = '{name: direct, url: "http://[::1]:80", paths: [/], expect: {a: true, b: 5, c: "5", d: text}}'

    settings = load(project=project(f"health: {{checks: [{check}]}}\n"))

    assert repr(settings.health.checks[0].expect) == repr({"a": True, "b": 5, "c": "5", "d": "text"})


# What YAML takes for something else


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("git: {branch: no}", 'git.branch: YAML takes no for false: quote it ("no"), or write false'),
        ("git: {branch: true}", 'git.branch: must be text: YAML takes true for true: quote it ("true")'),
        ("git: {branch: 22:30}", 'git.branch: YAML takes 22:30 for the number 1350: quote it ("22:30"), or write 1350'),
        ("git: {branch: 0123}", 'git.branch: YAML takes 0123 for the number 83: quote it ("0123"), or write 83'),
        ("git: {branch: 1.10}", 'git.branch: must be text: YAML takes 1.10 for the number 1.1: quote it ("1.10")'),
        (
            "git: {branch: 2025-12-19}",
            'git.branch: YAML takes 2025-12-19 for a date or other data: quote it ("2025-12-19")',
        ),
        ("git: {branch: 2025-13-45}", 'git.branch: YAML cannot make a value of 2025-13-45: quote it ("2025-13-45")'),
        ("git: {branch: }", "git.branch: has no value"),
        (
            "git: {fetch_timeout: 010}",
            'git.fetch_timeout: YAML takes 010 for the number 8: quote it ("010"), or write 8',
        ),
        ("git: {fetch_timeout: '60'}", "git.fetch_timeout: must be a whole number"),
        ("git: {fetch_timeout: 1.5}", "git.fetch_timeout: must be a whole number"),
        ("git: {fetch_timeout: true}", "git.fetch_timeout: must be a whole number"),
        (
            "migrate: {environment: {ENABLE: false}}",
            'migrate.environment.ENABLE: must be text: YAML takes false for false: quote it ("false")',
        ),
        (
            "migrate: {stamp: [{revision: 20251219161048, columns: {a.b: present}}]}",
            "migrate.stamp.0.revision: must be text: "
            'YAML takes 20251219161048 for a number: quote it ("20251219161048")',
        ),
        (
            "proof: {environment: {no: source}}",
            'proof.environment.no: YAML takes no for false: quote it ("no")',
        ),
    ],
    ids=lambda text: text.split(": YAML")[0],
)
def test_a_value_that_yaml_misreads_is_named_with_its_line(line: str, problem: str, project: Write) -> None:
    assert problems(project(line)) == [f"invoke.yaml:2: {problem}"]


def test_a_target_s_name_that_yaml_misreads_is_named(project: Write) -> None:
    place = project(targets="targets:\n  prod: {host: h}\n  no: {host: h}\n")

    assert problems(place) == ['invoke.yaml:3: targets.no: YAML takes no for false: quote it ("no")']


# Wrong keys and values


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("clena: {}", "clena: unknown key · did you mean clean?"),
        ("zzz: 1", "zzz: unknown key"),
        ("git: {brnch: main}", "git.brnch: unknown key · did you mean branch?"),
        (
            "migrate: {stamp: [{revison: a, revision: a, columns: {a.b: present}}]}",
            "migrate.stamp.0.revison: unknown key · did you mean revision?",
        ),
        ("ssh: 5", "ssh: must be a mapping of keys to values"),
        ("env: {required: KEY}", "env.required: must be a list"),
        ("env: {required: {A: B}}", "env.required: must be a list"),
        ("env: {required: [{}]}", "env.required.0: must be text"),
        ("restart: {programs: {celery: {}}}", "restart.programs.celery: must have either command or signal"),
        (
            "restart: {programs: {celery: {signal: SIGHUP}}}",
            "restart.programs.celery: has an unknown signal, SIGHUP: name it as kill -l does, without SIG",
        ),
        (
            "files: {site: {source: a, places: [{path: /b}], place: /b}}",
            "files.site.place: unknown key · did you mean places?",
        ),
        ("proof: {environment: [a]}", "proof.environment: must be a mapping of keys to values"),
        ("git: {branch: [main]}", "git.branch: must be text"),
        ('git: {branch: ""}', "git.branch: must not be empty"),
        ("git: {branch: -x}", "git.branch: must not start with -, or programs take it for an option"),
        ('git: {branch: "a\\0b"}', "git.branch: must not contain a NUL character"),
        ("restart: {timeout: 0}", "restart.timeout: must be at least 1"),
        ("preflight: {min_free_mib: -1}", "preflight.min_free_mib: must not be negative"),
        ("app: {path: app}", "app.path: must be an absolute path, without .."),
        ("app: {path: /app/../etc}", "app.path: must be an absolute path, without .."),
        ("app: {path: /}", "app.path: must not be the root folder"),
        ("env: {file: /etc/env}", "env.file: must be a relative path below its folder, without .."),
        ("env: {file: ../env}", "env.file: must be a relative path below its folder, without .."),
        ("copy: {protected: [.]}", "copy.protected.0: must be a relative path below its folder, without .."),
        ('copy: {exclude: ["!a"]}', "copy.exclude.0: must not start with !: exceptions are not supported here"),
        (
            "preflight: {unsuitable: [/a]}",
            "preflight.unsuitable.0: must be a pattern from the repository's root, "
            "without / at its start and without ..",
        ),
        ("migrate: {environment: {a-b: c}}", "migrate.environment.a-b: must be the name of an environment variable"),
        ("migrate: {stamp: [{columns: {a.b: absent}}]}", "migrate.stamp.0.revision: is missing"),
        ("migrate: {stamp: [{revision: a, columns: {}}]}", "migrate.stamp.0.columns: must not be empty"),
        ("migrate: {stamp: [{revision: a, columns: {a: absent}}]}", "migrate.stamp.0.columns.a: must be table.column"),
        ("health: {checks: []}", "health.checks: must not be empty"),
        ("restart: {check: zz}", "restart.check: restart.check (zz) must be one of the health.checks: nginx, direct"),
        ("app: {record: /app/r}", "app.record: app.record (/app/r) must lie outside of app.path (/app)"),
        ("clean: {caches: [/app]}", "clean.caches: clean.caches (/app) would empty app.path (/app)"),
    ],
    ids=lambda text: text,
)
def test_a_wrong_setting_is_named_with_its_line(line: str, problem: str, project: Write) -> None:
    assert problems(project(line)) == [f"invoke.yaml:2: {problem}"]


NO_URL = "must be http(s)://host or http(s)://host:port; what follows belongs into paths"


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (
            "url: localhost, paths: [/]",
            f"url: {NO_URL}",
        ),
        (
            "url: http://h/x, paths: [/]",
            f"url: {NO_URL}",
        ),
        (
            "url: http://h:99999, paths: [/]",
            f"url: {NO_URL}",
        ),
        ("url: http://h, paths: []", "paths: must not be empty"),
        ("url: http://h, paths: [x]", "paths.0: must be a URL path: it starts with / and has no spaces"),
        (
            "url: http://h, paths: [/], expect: {a: [b]}",
            "expect.a: must be text or must be true or false or must be a whole number",
        ),
    ],
    ids=lambda text: text,
)
def test_a_wrong_check_is_named(check: str, problem: str, project: Write) -> None:
    line = f"health: {{checks: [{{name: direct, {check}}}]}}"

    assert problems(project(line)) == [f"invoke.yaml:2: health.checks.0.{problem}"]


@pytest.mark.parametrize(
    "url", ["", "http://localhost", "http://localhost:8080/", "http://localhost/shop?page=1", "http://a http://b/c"]
)
def test_urls_to_probe_may_have_a_path(url: str, project: Write) -> None:
    assert load(project=project(f"probe: {{url: '{url}'}}")).probe.url == url


@pytest.mark.parametrize("url", ["ftp://localhost/", "localhost/", "http://localhost/a b", "http:///path"])
def test_a_wrong_url_to_probe_is_named(url: str, project: Write) -> None:
    problem = "must be http(s)://host:port/path, as the production host reaches it, or several between spaces"

    assert problems(project(f"probe: {{url: '{url}'}}")) == [f"invoke.yaml:2: probe.url: {problem}"]


def test_two_checks_of_one_name_are_refused(project: Write) -> None:
    check = "{name: direct, url: http://h, paths: [/]}"

    assert problems(project(f"health: {{checks: [{check}, {check}]}}")) == [
        "invoke.yaml:2: health.checks: health.checks has two checks of the same name"
    ]


def test_a_repeated_key_is_named(project: Write) -> None:
    assert problems(project("git: {branch: a}\ngit: {remote: b}\n")) == [
        "invoke.yaml:3: git: stands here more than once"
    ]


# Targets


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("{path: /srv}", "has no host; set targets.other.host, or local: true to run on this machine"),
        (
            "{host: h, local: true}",
            "has a host and local: true; drop targets.other.host or targets.other.local",
        ),
        ("", "must be a mapping of keys to values"),
    ],
)
def test_a_target_must_be_reachable_in_one_way(target: str, problem: str, project: Write) -> None:
    place = project(f"  other: {target}\n", targets="targets:\n  prod: {host: h}\n")

    assert problems(place)[:1] == [f"invoke.yaml:3: targets.other: {problem}"]


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        ("path: srv", "path: must be an absolute path, without .."),
        ("sudo: 1", "sudo: must be true or false"),
        ("hots: h", "hots: unknown key · did you mean host?"),
        ("name: h", "name: unknown key"),
        ("gti: {branch: x}", "gti: unknown key · did you mean git?"),
        ("git: {brnch: x}", "git.brnch: unknown key · did you mean branch?"),
        ("git: {branch: 5}", 'git.branch: must be text: YAML takes 5 for a number: quote it ("5")'),
    ],
)
def test_a_target_that_is_not_chosen_is_checked_too(member: str, problem: str, project: Write) -> None:
    place = project(targets=f"targets:\n  prod: {{host: h}}\n  other: {{host: h, {member}}}\n")

    assert problems(place, target="prod") == [f"invoke.yaml:3: targets.other.{problem}"]


def test_a_host_with_a_space_is_refused(project: Write) -> None:
    assert problems(project(targets="targets: {prod: {host: a b}}")) == [
        "invoke.yaml:1: targets.prod.host: must be user@host:port or an alias from ssh_config, without spaces"
    ]


def test_an_unknown_target_is_answered_with_those_there_are(project: Write) -> None:
    place = project(targets="targets: {prod: {host: a}, other: {host: b}}\n")

    assert problems(place, target="zz") == ["--target: there is no target zz · there are: other, prod"]


def test_a_default_target_that_does_not_exist_is_named_even_when_another_is_chosen(project: Write) -> None:
    assert problems(project("default_target: zz\n"), target="prod") == [
        "invoke.yaml:2: default_target: there is no target zz · there are: prod"
    ]


def test_no_targets_at_all_is_said(project: Write) -> None:
    assert problems(project(targets="")) == ["invoke.yaml: default_target: there is no target prod · there are: none"]


@pytest.mark.parametrize("host", ["deploy@prod.example.com", "example.com:22", "a@B.Example.COM"])
def test_a_placeholder_says_which_key_to_set(host: str, project: Write) -> None:
    with pytest.raises(Failure) as caught:
        load(project=project(targets=f'targets: {{prod: {{host: "{host}"}}}}\n'))

    assert (caught.value.code, as_text(caught.value.remedy)) == (
        Exit.USAGE,
        "set targets.prod.host in invoke.yaml, or choose another target with --target",
    )


def test_the_committed_prod_target_is_a_placeholder() -> None:
    with pytest.raises(Failure) as caught:
        load(project=REPOSITORY, target="prod")
    assert as_text(caught.value).fact == "the host of target prod is still the placeholder deploy@prod.example.com"


def test_a_placeholder_does_not_keep_other_targets_from_use(project: Write) -> None:
    place = project(targets="targets: {prod: {host: prod.example.com}, other: {host: h}}\n")

    assert load(project=place, target="other").target.host == "h"


# Files


def test_a_missing_f_file_is_named(project: Write, tmp_path: Path) -> None:
    missing = Path("/nowhere/typo.yaml")

    assert problems(project(), extra=missing) == ["/nowhere/typo.yaml: there is no such file"]


def test_an_f_file_in_another_language_is_refused(project: Write) -> None:
    assert problems(project(), extra=Path("mine.py")) == ["mine.py: must be a .yaml, .yml or .json file"]


def test_a_folder_is_no_f_file(project: Write, tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()

    assert problems(project(), extra=tmp_path / "folder.yaml") == ["folder.yaml: cannot be read: Is a directory"]


def test_a_project_without_its_file_says_so(tmp_path: Path) -> None:
    assert problems(tmp_path) == ["invoke.yaml: there is no such file"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "git:\n  branch: [\n",
            "invoke.yaml:3: is not valid YAML: expected the node content, but found '<stream end>'",
        ),
        ("- git\n", "invoke.yaml: must be a mapping of keys to values"),
        (
            "git: \x07\n",
            "invoke.yaml: is not valid YAML: unacceptable character #x0007: special characters are not allowed",
        ),
        ("git: &a {ssh: *a}\n", "invoke.yaml: contains itself, by an alias"),
    ],
    ids=["cut off", "list", "control character", "recursion"],
)
def test_a_file_that_cannot_be_used_is_named_first(text: str, problem: str, project: Write) -> None:
    assert problems(project(text, targets=""))[0] == problem


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "invoke.yaml").write_bytes(b"git: \xff\n")

    assert problems(tmp_path) == ["invoke.yaml: is not UTF-8 text"]


def test_a_lone_surrogate_is_no_traceback(project: Write) -> None:
    assert problems(project('git: {branch: "\\ud800"}\n')) == [
        "invoke.yaml:2: git.branch: contains a character that is none: half of a surrogate pair"
    ]


def test_a_key_must_be_text(project: Write) -> None:
    assert problems(project("? [a]\n: b\n")) == ["invoke.yaml:2: ?: a key must be text"]


def test_a_problem_in_a_sandbox_s_file_names_that_file(project: Write) -> None:
    place = project()
    sandbox(place, "mine", "targets:\n  mine: {hots: h, local: true}\n")

    assert problems(place) == [
        ".sandbox/mine/target.yaml:2: targets.mine.hots: unknown key · did you mean host?",
    ]


# All at once


def test_everything_wrong_is_told_at_once_in_the_order_of_the_files(project: Write, tmp_path: Path) -> None:
    place = project(
        "git: {brnch: x, branch: no}\nclena: {}\ndefault_target: zz\n",
        targets="targets:\n  prod: {host: h, path: srv}\n  other: {}\n",
    )
    extra = tmp_path / "mine.yaml"
    extra.write_text("health: {timeout: soon}\n")

    assert problems(place, extra=extra, target="yy") == [
        "invoke.yaml:2: targets.prod.path: must be an absolute path, without ..",
        "invoke.yaml:3: targets.other: has no host; set targets.other.host, or local: true to run on this machine",
        'invoke.yaml:4: git.branch: YAML takes no for false: quote it ("no"), or write false',
        "invoke.yaml:4: git.brnch: unknown key · did you mean branch?",
        "invoke.yaml:5: clena: unknown key · did you mean clean?",
        "invoke.yaml:6: default_target: there is no target zz · there are: other, prod",
        "mine.yaml:1: health.timeout: must be a whole number",
        "--target: there is no target yy · there are: other, prod",
    ]


def test_a_missing_f_file_hides_no_other_problem(project: Write) -> None:
    assert problems(project("zzz: 1\n"), extra=Path("typo.yaml"), target="yy") == [
        "typo.yaml: there is no such file",
        "invoke.yaml:2: zzz: unknown key",
        "--target: there is no target yy · there are: prod",
    ]


def test_a_general_problem_is_told_once_for_all_targets(project: Write) -> None:
    place = project("git: {branch: 5}\n", targets="targets: {prod: {host: a}, other: {host: b}}\n")

    assert len(problems(place)) == 1


def test_a_general_problem_is_told_though_every_target_overrides_it(project: Write) -> None:
    place = project("git: {branch: [x]}\n", targets="targets: {prod: {host: a, git: {branch: main}}}\n")

    assert problems(place) == ["invoke.yaml:2: git.branch: must be text"]


def test_a_wrong_override_is_named(project: Write) -> None:
    assert problems(project(), overrides={"git": {"branch": 5}}) == ["overrides: git.branch: must be text"]


def test_settings_can_be_made_without_a_file() -> None:
    assert asdict(Settings(target=Target("t", local=True)))["git"] == {
        "remote": "origin",
        "branch": "main",
        "fetch_timeout": 60,
        "via": "host",
        "proxy": "",
        "clone": "",
    }


# The database, and what may be none


def test_the_section_of_before_names_the_one_that_it_became(project: Write) -> None:
    (told,) = problems(project("postgres: {database: shop}\n"))
    assert told.startswith("invoke.yaml:2: postgres: is the section database now"), told


def test_redis_may_be_none_and_named_again_for_a_target(project: Write) -> None:
    place = project("redis: none\n", targets="targets: {prod: {host: h}, other: {host: h, redis: {service: cache}}}\n")
    assert load(project=place).redis is None
    other = load(project=place, target="other").redis
    assert other is not None
    assert other.service == "cache"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis: {servise: x}", "redis.servise: unknown key · did you mean service?"),
        ("redis:", "redis: has no value"),
        ("redis: no-redis", "redis: must be a mapping of keys to values"),
        ("database: {kind: oracle}", "database.kind: Input should be 'postgres', 'mysql', 'sqlite' or 'none'"),
        ("database: {kind: sqlite, name: shop.db}", "database.name (shop.db) must be the absolute path"),
        ("database: {service: ''}", "database.service is empty"),
        ("backup: {client: host}", "backup.client (host) counts only for a database with a url"),
        ("database: {url: 'postgresql://u:p@h/d'}", "database.url: must be the name of an environment variable"),
    ],
)
def test_what_no_database_can_be_is_named(project: Write, text: str, expected: str) -> None:
    told = problems(project(text + "\n"))
    assert any(expected in one for one in told), told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{kind: none}", False),
        ("{kind: sqlite, name: /data/shop.db}", False),
        ("{url: DATABASE_URL, service: ''}", False),
        ("{kind: mysql}", True),
    ],
)
def test_a_database_may_have_no_container_of_its_own(project: Write, text: str, expected: bool) -> None:
    assert load(project=project(f"database: {text}\n")).database.in_service is expected


def test_a_group_is_chosen_by_its_name_with_the_settings_of_its_targets(project: Write) -> None:
    place = project(
        "groups: {all: {targets: [b, a], batch: 25%}}\ngit: {branch: live}\n",
        targets="targets: {prod: {host: p}, a: {host: a, git: {branch: x}}, b: {host: b}}\n",
    )
    chosen = choose(project=place, target="all")
    assert [(one.target.name, one.git.branch) for one in chosen.targets] == [("b", "live"), ("a", "x")]
    assert chosen.group
    assert (chosen.group.commit, chosen.group.batch, chosen.group.parallel) == ("together", "25%", 10)


def test_only_some_of_a_group_are_chosen(project: Write) -> None:
    place = project(
        "groups: {all: {targets: [a, b]}}\n", targets="targets: {prod: {host: p}, a: {host: a}, b: {host: b}}\n"
    )
    assert [one.target.name for one in choose(project=place, target="all", only=["b"]).targets] == ["b"]
    with pytest.raises(Failure) as caught:
        choose(project=place, target="all", only=["c"])
    assert as_text(caught.value).fact == "--only: c is none of a, b"


def test_the_default_target_can_be_a_group(project: Write) -> None:
    place = project(
        "default_target: all\ngroups: {all: {targets: [a]}}\n", targets="targets: {a: {host: a}, b: {host: b}}\n"
    )
    assert choose(project=place).name == "all"


def test_what_is_of_one_target_refuses_a_group(project: Write) -> None:
    place = project("groups: {all: {targets: [prod]}}\n")
    with pytest.raises(Failure) as caught:
        load(project=place, target="all")
    assert as_text(caught.value).fact == "all is a group, and this is of one target"


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ("targets: [prod, other]", "groups.all.targets: there is no target other · there are: prod"),
        ("targets: [prod, prod]", "groups.all.targets: names a target twice"),
        ("targets: []", "groups.all.targets: must not be empty"),
        ("targets: [prod], canary: {target: x}", "groups.all.canary: (x) is none of the group's targets"),
        ("targets: [prod], comit: each", "groups.all.comit: unknown key · did you mean commit?"),
        (
            "targets: [prod], batch: 0%",
            "groups.all.batch: must be a number of targets, a share of them such as 25%, or all",
        ),
    ],
)
def test_a_group_that_cannot_be_is_named(project: Write, group: str, problem: str) -> None:
    assert problems(project(f"groups: {{all: {{{group}}}}}\n"), target="prod") == [f"invoke.yaml:2: {problem}"]


def test_a_group_has_a_name_of_its_own(project: Write) -> None:
    found = problems(project("groups: {prod: {targets: [prod]}}\n"), target="prod")
    assert found == ["invoke.yaml:2: groups.prod: there is a target of this name too"]
