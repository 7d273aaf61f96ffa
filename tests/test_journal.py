"""The journal on both databases: one suite, SQLite always, PostgreSQL where it is installed."""

from __future__ import annotations

import gc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from inbox_agent.application import Candidate, Kind, Status, Timing
from inbox_agent.decide import Policy, decide
from inbox_agent.decision import Act, ActKind, ActState, History, Planned, ReplyTemplate
from inbox_agent.errors import StoreError
from inbox_agent.journal import MAX_ATTEMPTS, Arrived, Journal
from inbox_agent.migrate import alembic_config, upgrade
from inbox_agent.ports import Moved
from inbox_agent.schema import acts, applications, messages, metadata

from test_decide import CV, LETTER, OFFER, STAFF, reading

START = datetime(2024, 2, 10, 9, 0, tzinfo=UTC)
POLICY = Policy((OFFER,), STAFF)
TO_CHECK = "Candidatures/À vérifier"


class Held:
    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@pytest.fixture
def clock():
    return Held()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.db'}"
    return request.getfixturevalue("postgresql").fresh_url()


@pytest.fixture
def journal(url, clock):
    opened = Journal.open(url, clock)
    yield opened
    opened.close()


def arrive(journal: Journal, uid: int, sha256: str) -> int:
    journal.receive("m", 1, [Arrived(uid, sha256, 100, START)], uid, TO_CHECK)
    return next(row.id for row in journal.waiting("m", 100) if row.uid == uid)


def record(journal: Journal, row: int, found, *, acts_: tuple[Act, ...] = ()) -> None:
    with journal.transaction("record") as write:
        history = write.history(found, row, START - timedelta(days=1))
        decision = decide(found, START, history, POLICY)
        pieces = tuple((document, f"{document.name}") for document in found.documents)
        write.record(row, found, decision, Planned(acts_, "offre/x", pieces, {"kind": decision.kind}))


def test_a_message_is_received_once_and_the_position_is_kept(journal):
    arrive(journal, 5, "a" * 64)
    journal.receive("m", 1, [Arrived(5, "a" * 64, 100, START)], 5, TO_CHECK)

    assert journal.position("m").last_uid == 5
    assert len(journal.waiting("m", 10)) == 1
    assert journal.known_uids("m", 1, 1) == {5}


def test_after_renumbering_the_same_octets_are_the_message_we_know(journal):
    row = arrive(journal, 5, "a" * 64)
    record(journal, row, reading(Kind.OTHER, ()))

    journal.receive("m", 2, [Arrived(1, "a" * 64, 100, START)], 1, TO_CHECK)

    assert journal.ledger().messages == 1
    assert journal.waiting("m", 10) == ()


def test_a_message_is_started_three_times_and_then_quarantined(journal):
    arrive(journal, 1, "a" * 64)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        (started,) = journal.start(journal.waiting("m", 10), TO_CHECK)
        assert started.attempts == attempt

    assert journal.start(journal.waiting("m", 10), TO_CHECK) == ()
    assert journal.ledger().quarantined == 1


def test_the_commit_holds_the_application_its_pieces_and_its_acts(journal):
    row = arrive(journal, 1, "a" * 64)
    act = Act(ActKind.SEND, "reply:x", {"template": "complete", "envelope_from": ""}, b"octets", "j@x.fr", "<r@x>")
    record(journal, row, reading(), acts_=(act,))

    with journal.snapshot() as connection:
        (application,) = connection.execute(sa.select(applications)).all()
    assert (application.id, application.name, application.status, application.timing) == (
        row,
        "Jeanne Dupont",
        Status.COMPLETE,
        Timing.ON_TIME,
    )
    (due,) = journal.due()
    assert (due.kind, due.octets, due.recipient) == (ActKind.SEND, b"octets", "j@x.fr")
    ledger = journal.ledger()
    assert (ledger.pending, ledger.balances) == (1, True)


def test_an_act_whose_key_is_known_is_never_written_twice(journal):
    act = Act(ActKind.SEND, "reply:x", {"template": "complete", "envelope_from": ""}, b"1", "j@x.fr", "<r@x>")
    record(journal, arrive(journal, 1, "a" * 64), reading(), acts_=(act,))
    other = reading(sha256="b" * 64, fingerprint="c" * 64, message_id="<2@x>")
    record(journal, arrive(journal, 2, "b" * 64), other, acts_=(replace(act, octets=b"2"),))

    assert [found.octets for found in journal.due()] == [b"1"]


def test_the_store_itself_refuses_a_second_act_of_one_key(journal):
    values = {"kind": "send", "key": "k", "state": "pending", "payload": {}, "created_at": "x", "next_at": "x"}

    with pytest.raises(StoreError), journal.transaction("test") as write:
        write.connection.execute(sa.insert(acts), [values, values])


def test_history_finds_an_application_by_message_thread_address_and_name(journal):
    record(journal, arrive(journal, 1, "a" * 64), reading(documents=(CV,)))
    stranger = replace(reading().candidate, address="other@x.fr")
    ways = {
        "message": reading(sha256="d" * 64),
        "thread": reading(fingerprint="3" * 64, thread=("<1@example.org>",), candidate=None),
        "address": reading(fingerprint="3" * 64),
        "name": reading(fingerprint="3" * 64, candidate=stranger),
    }
    for way, found in ways.items():
        with journal.transaction("look") as write:
            (known, *_) = write.history(found, 99, START).earlier
        assert known.by == way
        assert (known.missing, known.status) == (("letter",), Status.INCOMPLETE)
        assert known.documents == (CV,)


def person(name: str) -> Candidate:
    return Candidate(f"{name} Durand", name, "Durand", f"{name.lower()}@x.fr")


def mail(number: int, name: str, documents=(CV, LETTER), kind: Kind = Kind.APPLICATION, **changes):
    """Of that person, unlike every other."""
    digit = f"{number:x}" * 64
    own = {"sha256": digit, "fingerprint": digit, "message_id": f"<{number}@x>", "candidate": person(name)}
    return reading(kind, documents, **{**own, **changes})


def sending(number: int, name: str) -> tuple[Act, ...]:
    payload = {"template": "complete", "envelope_from": ""}
    return (Act(ActKind.SEND, f"reply:{number}", payload, b"octets", f"{name.lower()}@x.fr", f"<reply-{number}@x>"),)


FOUNDERS = (mail(1, "Alix", (CV,)), mail(2, "Bao"))
BATCH = (
    mail(3, "Chloé", (CV,)),
    mail(4, "Bao", candidate=replace(person("Bao"), address="other@x.fr")),  # by name, from an earlier batch
    mail(5, "Chloé", (LETTER,), Kind.FOLLOW_UP),  # by address, from this one
    mail(6, "Alix", (LETTER,), Kind.FOLLOW_UP, thread=("<1@x>",), candidate=None),  # by thread, and completes it
    mail(7, "Alix"),  # by address: what the one before it brought is there
    mail(8, "Djamel"),
    mail(9, "Nobody", (LETTER,), Kind.FOLLOW_UP, thread=("<reply-8@x>",), candidate=None),  # by our reply
    mail(10, "Djamel", fingerprint="8" * 64),  # the same message
)


def histories(journal: Journal, *batches) -> list[History]:
    """What each message is told of those before it, when each of the batches is one transaction."""
    found: list[History] = []
    rows = {one.sha256: arrive(journal, uid, one.sha256) for uid, one in enumerate((*FOUNDERS, *BATCH), start=1)}
    for batch in batches:
        with journal.transaction("record") as write:
            write.look_ahead({rows[one.sha256]: one for one in batch}, START - timedelta(days=1))
            for one in batch:
                row = rows[one.sha256]
                history = write.history(one, row, START - timedelta(days=1))
                found.append(history)
                decision = decide(one, START, history, POLICY)
                pieces = tuple((document, f"{row}-{document.name}") for document in one.documents)
                planned = Planned(sending(row, "x"), f"offre/{row}", pieces, {})
                write.record(row, one, decision, planned)
    return found


def test_a_message_is_told_the_same_whether_those_before_it_are_written_or_about_to_be(tmp_path, clock):
    found = []
    for name, batches in (
        ("alone", [(one,) for one in (*FOUNDERS, *BATCH)]),
        ("two", [FOUNDERS, BATCH]),
        ("one", [(*FOUNDERS, *BATCH)]),
    ):
        journal = Journal.open(f"sqlite:///{tmp_path / name}.db", clock)
        found.append(histories(journal, *batches))
        journal.close()
    assert found[0] == found[1] == found[2]
    assert [[known.by for known in history.earlier] for history in found[0][2:]] == [
        [],
        ["name"],
        ["address"],
        ["thread"],
        ["address"],
        [],
        ["thread"],
        ["message"],
    ]
    assert found[0][6].earlier[0].documents == (CV, LETTER)


def test_a_batch_is_written_together_although_earlier_ones_are_asked_for(tmp_path, clock):
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}", clock)
    written = []
    sa.event.listen(journal.engine, "before_cursor_execute", lambda *call: written.append(call[2]))
    known = mail(4, "Bao", candidate=replace(person("Bao"), address="other@x.fr"))
    histories(journal, FOUNDERS, (BATCH[0], known, mail(8, "Djamel")))
    assert sum(statement.startswith("INSERT INTO applications") for statement in written) == 2
    journal.close()


def test_a_follow_up_updates_the_application_and_keeps_both_documents(journal):
    first = arrive(journal, 1, "a" * 64)
    record(journal, first, reading(documents=(CV,)))
    later = reading(Kind.FOLLOW_UP, (LETTER,), sha256="b" * 64, fingerprint="3" * 64, message_id="<2@x>")
    record(journal, arrive(journal, 2, "b" * 64), later)

    with journal.snapshot() as connection:
        (application,) = connection.execute(sa.select(applications)).all()
        owners = connection.scalars(sa.select(messages.c.application_id)).all()
    assert (application.id, application.status, application.missing) == (first, Status.COMPLETE, [])
    assert owners == [first, first]


def test_a_claim_is_given_once(journal):
    act = Act(ActKind.SEND, "reply:x", {"template": "complete", "envelope_from": ""}, b"1", "j@x.fr", "<r@x>")
    record(journal, arrive(journal, 1, "a" * 64), reading(), acts_=(act,))
    (due,) = journal.due()

    assert journal.claim([due]) == (due,)
    assert journal.claim([due]) == ()
    assert journal.recover() == 1
    assert journal.claim([due]) == (due,)
    journal.unclaim([due])
    assert journal.claim([due]) == (due,)


def test_an_act_waits_for_the_one_before_it_of_the_same_message(journal):
    plan = (
        Act(ActKind.FILE, "file:1", {"path": "x", "files": []}),
        Act(ActKind.MOVE, "move:1", {"folder": "F"}),
    )
    record(journal, arrive(journal, 1, "a" * 64), reading(), acts_=plan)

    (first,) = journal.due()
    assert first.kind is ActKind.FILE
    journal.done([(first, "filed")])
    (second,) = journal.due()
    assert second.kind is ActKind.MOVE
    journal.moved([(second, Moved(7, 70))])
    assert journal.due() == ()
    with journal.snapshot() as connection:
        (row,) = connection.execute(sa.select(messages)).all()
    assert (row.state, row.folder, row.folder_uidvalidity, row.folder_uid) == ("done", "F", 7, 70)


def test_what_fails_is_tried_later_and_given_up_after_four_days(journal, clock):
    act = Act(ActKind.SEND, "reply:x", {"template": "complete", "envelope_from": ""}, b"1", "j@x.fr", "<r@x>")
    record(journal, arrive(journal, 1, "a" * 64), reading(), acts_=(act,))
    (due,) = journal.due()

    journal.postpone(due, "451 later")
    assert journal.due() == ()
    clock.at += timedelta(minutes=2)
    assert len(journal.due()) == 1
    clock.at += timedelta(days=5)
    journal.postpone(journal.due()[0], "451 still")
    assert [found.state for found in journal.mail_acts()] == [ActState.FAILED]


def test_replies_are_counted_by_address_and_in_all(journal):
    act = Act(
        ActKind.SEND, "reply:x", {"template": "complete", "envelope_from": ""}, b"1", "jeanne@example.org", "<r@x>"
    )
    record(journal, arrive(journal, 1, "a" * 64), reading(), acts_=(act,))

    with journal.transaction("look") as write:
        history = write.history(reading(fingerprint="4" * 64), 99, START - timedelta(hours=1))

    assert (history.replies_to_address_today, history.replies_last_hour, history.replies_today) == (1, 1, 1)
    assert history.earlier[0].replied == {ReplyTemplate.COMPLETE}


def test_of_what_is_no_application_nothing_but_identity_and_verdict_is_kept(journal):
    row = arrive(journal, 1, "a" * 64)
    record(journal, row, reading(Kind.OTHER, (), subject="Facture secrète", sender="x@fournisseur.fr"))

    with journal.snapshot() as connection:
        (kept,) = connection.execute(sa.select(messages)).all()
    assert kept.decision is None
    assert "Facture" not in str(kept)
    assert "fournisseur" not in str(kept)


def test_the_migrations_make_the_tables_that_the_program_knows(url, tmp_path, clock):
    if url.startswith("sqlite"):  # A new file is made without them: here one is, as an older one is brought up.
        url = f"sqlite:///{tmp_path / 'migrated.db'}"
        engine = sa.create_engine(url)
        upgrade(engine, url, None)
        engine.dispose()
    journal = Journal.open(url, clock)
    with journal.snapshot() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert alembic_config(connection).get_main_option("script_location")
    journal.close()


def test_a_store_of_the_first_tables_is_brought_up_with_what_it_holds(url, tmp_path, clock):
    url = f"sqlite:///{tmp_path / 'first.db'}" if url.startswith("sqlite") else url
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        connection.execute(
            sa.insert(messages).values(
                sha256="a" * 64, size=1, mailbox="m", uidvalidity=1, uid=1, internaldate="", state="received"
            )
        )
    engine.dispose()

    journal = Journal.open(url, clock)

    assert journal.ledger().pending == 1
    journal.close()


@pytest.mark.parametrize("lost", [{"state": "vanished"}, {"state": "done", "kind": None}])
def test_the_ledger_does_not_balance_when_a_message_is_in_no_state(journal, lost):
    arrive(journal, 1, "a" * 64)
    assert journal.ledger().balances

    with journal.transaction("test") as write:
        write.connection.execute(sa.update(messages).values(**lost))

    assert not journal.ledger().balances


def test_the_ledger_is_counted_from_an_index_alone(tmp_path, clock):
    journal = Journal.open(f"sqlite:///{tmp_path / 'journal.db'}", clock)
    asked = []
    sa.event.listen(journal.engine, "before_cursor_execute", lambda *call: asked.append(call[2:4]))

    journal.ledger()

    statement, parameters = next(each for each in asked if each[0].startswith("SELECT"))
    with journal.snapshot() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert plan[0].detail == "SCAN messages USING COVERING INDEX ix_messages_kind_state_why"
    journal.close()


def test_a_store_of_a_newer_program_is_refused_with_the_remedy(url, clock, journal):
    with journal.transaction("test") as write:
        write.connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StoreError, match="Install the newer program"):
        Journal.open(url, clock)


def test_a_file_that_is_no_store_is_told_and_not_touched(tmp_path, clock):
    path = tmp_path / "journal.db"
    path.write_bytes(b"not a database at all, but somebody's notes" * 100)

    with pytest.raises(StoreError):
        Journal.open(f"sqlite:///{path}", clock)

    assert path.read_bytes().startswith(b"not a database")


@pytest.mark.real
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)  # psycopg's own half-open connection
def test_an_unreachable_postgresql_is_a_store_error(clock):
    with pytest.raises(StoreError):
        Journal.open("postgresql+psycopg://agent@127.0.0.1:1/x", clock)
    gc.collect()  # Here, where its complaint is expected.
