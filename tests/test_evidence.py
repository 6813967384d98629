"""How a journal's evidence is put into words."""

from deploy import evidence
from deploy.message import pack, say
from deploy.runs import Event
from tests.texts import as_text


def of(*events: tuple[str, ...]) -> evidence.Evidence:
    return evidence.of(Event(0.0, kind, tuple(fields)) for kind, *fields in events)


def test_nothing_was_changed_where_nothing_differs() -> None:
    assert of(("line", "proof", "boots")) == evidence.Evidence((), (), ())
    assert as_text(of().unchanged) == "nothing was changed"


def test_what_could_not_be_seen_is_said_instead_of_claimed() -> None:
    found = of(("unseen", "the database", "no such container"))
    assert as_text(found.unchanged) == "nothing was changed, as far as could be seen (the database: no such container)"


def test_what_differs_is_named_and_a_sum_is_not_shown() -> None:
    found = of(("differs", "HEAD", "a", ""), ("differs", "work tree", "17 4", "18 4"), ("schema", "came", "table t"))
    assert as_text(found.lines) == (
        "HEAD is not as before: a -> none",
        "work tree is not as before",
        "the schema is not as before: table t came",
    )


def test_a_schema_that_changed_without_its_revision_is_half_migrated() -> None:
    assert of(("schema", "came", "table t")).half_migrated
    assert not of(("schema", "came", "table t"), ("differs", pack(say("database revision")), "1", "2")).half_migrated
