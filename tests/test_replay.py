"""What today's rules would say of yesterday's applications; old mail taken in; what is open now."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from inbox_agent.offer import Offer
from inbox_agent.open_offers import described

from association import OFFER, PARIS, SECOND_OFFER, TUESDAY, association, candidature
from test_corrections import record, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path) as made:
        yield made


def change_offer(asso: Association, before: str, after: str) -> None:
    path = asso.folder / "rules" / "offers" / f"{OFFER}.toml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_the_same_rules_decide_the_same(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.deliver(candidature("Paul Morin", bring=("cv",), message_id="<2@example.org>"))
    asso.run_pass()

    status, said = run(asso, "replay", "--json")

    assert status == 0, said
    assert json.loads(said) == {"differences": [], "applied": 0}


def test_a_later_deadline_is_seen_and_applied_without_a_reply(asso):
    asso.clock.moment = TUESDAY.replace(day=20)
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()
    assert asso.where("<1@example.org>") == [f"Candidatures/{OFFER}/Hors délai"]
    change_offer(asso, "2024-02-15", "2024-02-29")

    status, said = run(asso, "replay", "--json")
    assert status == 0, said
    (difference,) = json.loads(said)["differences"]
    assert difference["changes"] == {"timing": {"then": "late", "now": "on_time"}}
    assert asso.where("<1@example.org>") == [f"Candidatures/{OFFER}/Hors délai"]

    asso.close()
    status, said = run(asso, "replay", "--apply", "--json")
    assert status == 0, said
    assert json.loads(said)["applied"] == 1
    asso.run_pass()

    assert asso.where("<1@example.org>") == [f"Candidatures/{OFFER}/Complètes"]
    assert record(asso)["application"]["timing"] == "on_time"
    assert asso.reply_templates == ["late"]
    assert json.loads(run(asso, "replay", "--json")[1])["differences"] == []


def test_an_application_of_a_mailbox_that_has_another_name_now_is_told_and_left(asso):
    asso.clock.moment = TUESDAY.replace(day=20)
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()
    change_offer(asso, "2024-02-15", "2024-02-29")
    asso.close()
    text = asso.config.read_text(encoding="utf-8")
    asso.config.write_text(text.replace('name = "direction"', 'name = "directrice"'), encoding="utf-8")

    status, said = run(asso, "replay", "--apply", "--json")

    assert status == 0, said
    (difference,) = json.loads(said)["differences"]
    assert (difference["applicable"], json.loads(said)["applied"]) == (False, 0)


def test_what_staff_placed_is_not_asked_again(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()
    asso.move("<1@example.org>", f"Candidatures/{OFFER}/Incomplètes")
    asso.run_pass()
    change_offer(asso, "2024-02-15", "2024-02-01")

    assert json.loads(run(asso, "replay", "--json")[1])["differences"] == []


def test_backfill_takes_in_old_mail_and_answers_nobody(tmp_path):
    with association(tmp_path, top="") as asso:
        config = asso.config.read_text(encoding="utf-8")
        asso.config.write_text(config.replace('first_run = "all"', 'first_run = "new"'), encoding="utf-8")
        asso.deliver(candidature("Anne Petit", message_id="<vieux@example.org>"), TUESDAY - timedelta(days=20))
        asso.deliver(candidature("Yves Roux", message_id="<1@example.org>"), TUESDAY - timedelta(days=2))
        asso.run_pass()
        assert asso.journal.ledger().messages == 0
        asso.close()

        status, said = run(asso, "backfill", "--since", "2024-02-10", "--json")

        assert status == 0, said
        assert json.loads(said) == {"taken": 1, "decided": 1}
        assert asso.where("<1@example.org>") == [f"Candidatures/{OFFER}/Complètes"]
        assert asso.where("<vieux@example.org>") == ["INBOX"]
        assert asso.replies == []
        assert json.loads(run(asso, "backfill", "--since", "2024-02-10", "--json")[1])["taken"] == 0
        asso.deliver(candidature("Jeanne Dupont", message_id="<neuf@example.org>"))
        asso.run_pass()
        assert asso.reply_templates == ["complete"]


def test_backfill_wants_a_day(asso):
    assert run(asso, "backfill", "--since", "janvier")[0] == 2


@pytest.mark.parametrize(
    ("day", "hour", "state", "timing", "reply"),
    [
        (10, 9, "open", "on_time", "complete"),
        (14, 23, "open", "on_time", "complete"),
        (15, 0, "last day", "boundary", "complete"),
        (16, 0, "deadline past", "late", "late"),
    ],
)
def test_offers_tells_what_happens_to_a_mail_arriving_now(day, hour, state, timing, reply):
    offer = Offer("o", "Offre", ("a@b.org",), deadline=TUESDAY.date().replace(day=15))

    (row,) = described((offer,), "draft", TUESDAY.replace(day=day, hour=hour, tzinfo=PARIS))

    assert (row["state"], row["timing_now"], row["reply_now"], row["mode_now"]) == (state, timing, reply, "draft")


def test_offers_on_the_command_line(asso):
    status, said = run(asso, "offers", "--json")

    assert status == 0
    assert [row["id"] for row in json.loads(said)] == [OFFER, SECOND_OFFER]
    assert "deadline past" in run(asso, "offers")[1]
