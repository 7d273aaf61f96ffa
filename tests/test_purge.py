"""Applications are kept no longer than needed: listed, announced a week ahead, deleted at night."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from inbox_agent import cycle
from inbox_agent.purge import due

from association import OFFER, TUESDAY, association, candidature
from test_corrections import DOUBT, doubtful, record, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association

COMPLETE = f"Candidatures/{OFFER}/Complètes"
# The deadline of the offer is 15 February, later than the last contact: three months from then.
DAY = TUESDAY.replace(month=5, day=15)


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path) as made:
        made.deliver(candidature(message_id="<1@example.org>"))
        made.run_pass()
        yield made


def test_nothing_is_due_before_its_day_and_the_night_of_it_everything_goes(asso):
    asso.clock.moment = DAY.replace(day=14, hour=23)
    assert due(asso.installation) == []
    asso.daemon.purge()
    assert asso.where("<1@example.org>") == [COMPLETE]

    asso.clock.moment = DAY.replace(hour=4)
    asso.daemon.purge()

    assert asso.folders() == {}
    assert asso.files() == []
    assert "Dupont" not in (asso.archive / "index.html").read_text(encoding="utf-8")
    ledger = asso.journal.ledger()
    assert (ledger.messages, ledger.balances) == (0, True)
    asso.run_pass()
    assert asso.journal.ledger().messages == 0


def test_the_digest_announces_it_a_week_ahead(asso):
    asso.clock.moment = DAY.replace(day=6)
    assert "Suppressions prévues" not in asso.digest().get_body(("html",)).get_content()
    asso.clock.moment = DAY.replace(day=13)
    assert "Suppressions prévues" in asso.digest().get_body(("html",)).get_content()


def test_dry_run_lists_and_deletes_nothing(asso):
    asso.clock.moment = DAY
    rows = due(asso.installation)
    asso.close()

    status, said = run(asso, "purge", "--dry-run", "--json")

    assert [(row["number"], row["day"]) for row in rows] == [(1, "2024-05-15")]
    assert status == 0
    assert [row["number"] for row in json.loads(said)] == [1]
    assert asso.where("<1@example.org>") == [COMPLETE]


def test_a_recorded_agreement_keeps_it_for_two_years(asso):
    assert run(asso, "agree", "1")[0] == 0
    asso.run_pass()
    assert record(asso)["application"]["keep_agreed"] is True

    asso.clock.moment = DAY.replace(year=2025)
    asso.daemon.purge()
    assert asso.where("<1@example.org>") == [COMPLETE]

    assert run(asso, "agree", "1", "--withdraw")[0] == 0
    asso.daemon.purge()
    assert asso.folders() == {}


def test_an_agreement_of_nobody_is_told(asso):
    assert run(asso, "agree", "99")[0] == 1


def test_a_later_contact_keeps_it_longer(asso):
    asso.clock.moment = TUESDAY.replace(month=4, day=2)
    asso.deliver(
        candidature("Jeanne Dupont", bring=("cv",), answers="<1@example.org>", text="Mon CV à jour.", trade="social")
    )
    asso.run_pass()

    asso.clock.moment = DAY
    assert due(asso.installation) == []
    asso.clock.moment = DAY.replace(month=7, day=2)
    assert [row["number"] for row in due(asso.installation)] == [1]


def test_what_staff_put_back_into_their_inbox_stays_there_and_is_not_read_anew(asso):
    asso.move("<1@example.org>", "INBOX")
    asso.run_pass()
    asso.clock.moment = DAY

    asso.daemon.purge()
    asso.run_pass()

    assert asso.where("<1@example.org>") == ["INBOX"]
    assert asso.files() == []
    assert asso.journal.ledger().left == 1


def test_a_message_that_staff_changed_since_is_not_deleted(asso):
    """Only the very octets that were filed go: another message under the same number stays."""
    with asso.imap() as client:
        client.delete_folder(COMPLETE)
    asso.append(COMPLETE, candidature("Anne Petit", message_id="<autre@example.org>"))
    asso.clock.moment = DAY

    asso.daemon.purge()

    assert "<autre@example.org>" in str(asso.folders())


def test_a_doubt_that_nobody_resolved_goes_with_its_offer_and_is_announced(asso):
    asso.deliver(doubtful())
    asso.run_pass()
    assert asso.where("<doute@example.org>") == [DOUBT]
    asso.clock.moment = DAY.replace(day=13)
    said = " ".join(asso.digest().get_body(("plain",)).get_content().split())
    assert "1 dossier et 1 message à vérifier" in said
    asso.clock.moment = DAY.replace(day=14, hour=23)
    asso.daemon.purge()
    assert asso.where("<doute@example.org>") == [DOUBT]

    asso.clock.moment = DAY.replace(hour=4)
    assert [(row["number"], row["kind"]) for row in due(asso.installation)] == [(1, "application"), (2, "doubt")]
    asso.daemon.purge()

    assert asso.where("<1@example.org>") == asso.where("<doute@example.org>") == []
    ledger = asso.journal.ledger()
    assert (ledger.filed, ledger.doubt, ledger.balances) == (0, 0, True)
    asso.run_pass()
    assert asso.journal.ledger() == ledger


def test_a_doubt_that_staff_took_out_is_theirs(asso):
    asso.deliver(doubtful())
    asso.run_pass()
    asso.move("<doute@example.org>", "Divers")
    asso.clock.moment = DAY.replace(month=6)

    asso.daemon.purge()

    assert asso.where("<doute@example.org>") == ["Divers"]


def test_of_an_unreadable_message_our_copy_goes_and_the_message_stays(asso, monkeypatch):
    asso.deliver(candidature("Karim Benali", message_id="<illisible@example.org>"))
    with monkeypatch.context() as broken:
        broken.setattr(cycle, "decide", lambda *_, **__: 1 / 0)
        asso.run_pass()
    [row] = asso.journal.quarantined()
    spool = asso.installation.spool(row.mailbox)
    three_months_later = TUESDAY.replace(month=5, hour=4)

    asso.clock.moment = three_months_later.replace(day=12)
    asso.daemon.purge()
    asso.run_pass()
    assert [path.stem for path in spool.glob("*.eml")] == [row.sha256]

    asso.clock.moment = three_months_later
    assert [(found["number"], found["kind"]) for found in due(asso.installation)] == [(row.id, "quarantine")]
    asso.daemon.purge()
    asso.run_pass()

    assert list(spool.glob("*.eml")) == []
    assert asso.where("<illisible@example.org>") == [DOUBT]
    ledger = asso.journal.ledger()
    assert (ledger.quarantined, ledger.left, ledger.balances) == (0, 1, True)
