"""Staff correct the agent by moving mail: each situation of the guide, through the whole agent and a real mailbox."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest
from inbox_agent.cli import app
from inbox_agent.errors import AgentError
from typer.testing import CliRunner

from association import OFFER, SECOND_OFFER, association, candidature, paper
from making import eml, scanned_pdf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from association import Association

MESSAGES = Path(__file__).parent / "messages"
TREE = "Candidatures"
DOUBT = f"{TREE}/À vérifier"
COMPLETE = f"{TREE}/{OFFER}/Complètes"
INCOMPLETE = f"{TREE}/{OFFER}/Incomplètes"
LATE = f"{TREE}/{OFFER}/Hors délai"


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path) as made:
        yield made


def doubtful(message_id: str = "<doute@example.org>", address: str = "lucie.bernard@example.org") -> bytes:
    """A letter, and nothing that says that its author applies: a person must look."""
    return eml(
        from_=f"Lucie Bernard <{address}>",
        subject="Document",
        text="Bonjour,\n\nVoici le document.\n\nLucie Bernard\n",
        attachments=[("lettre.pdf", paper("letter", "Lucie Bernard", address, "logistique"))],
        message_id=message_id,
    )


def scan_without_a_word() -> bytes:
    return eml(
        from_="Lucie Bernard <lucie.bernard@example.org>",
        subject="Document",
        text="\n",
        attachments=[("scan0001.pdf", scanned_pdf(["illisible"]))],
        message_id="<scan@example.org>",
    )


def recommended() -> bytes:
    """A CV that a mayor recommends: he is not the candidate."""
    octets = (MESSAGES / "recommend-mayor-with-cv.eml").read_bytes()
    return re.sub(rb"(?im)^Message-ID:.*$", b"Message-ID: <maire@example.org>", octets)


def record(asso: Association) -> dict:
    (path,) = asso.archive.rglob("candidature.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_message_in_doubt_moved_to_an_offer_is_filed_and_answered_once(asso):
    asso.deliver(doubtful())
    asso.run_pass()
    assert asso.where("<doute@example.org>") == [DOUBT]
    assert asso.replies == []

    asso.move("<doute@example.org>", INCOMPLETE)
    asso.run_pass()
    asso.run_pass()

    assert asso.where("<doute@example.org>") == [INCOMPLETE]
    assert asso.reply_templates == ["incomplete"]
    assert any(name.endswith("message.eml") for name in asso.files())
    assert asso.journal.ledger().doubt == 0
    (event,) = [item for item in record(asso)["events"] if item["kind"] == "correction"]
    assert event["who"] == "déplacement dans la messagerie"
    assert "Vos corrections" in asso.digest().get_body(("html",)).get_content()


def test_a_message_in_doubt_moved_back_to_the_inbox_stays_there(asso):
    asso.deliver(doubtful())
    asso.run_pass()

    asso.move("<doute@example.org>", "INBOX")
    for _ in range(3):
        asso.run_pass()

    assert asso.where("<doute@example.org>") == ["INBOX"]
    assert asso.replies == []
    ledger = asso.journal.ledger()
    assert (ledger.messages, ledger.left, ledger.doubt) == (1, 1, 0)


def test_who_recommends_somebody_is_not_answered_as_if_he_applied(asso):
    asso.deliver(recommended())
    asso.run_pass()

    asso.move("<maire@example.org>", INCOMPLETE)
    asso.run_pass()

    assert asso.journal.ledger().filed == 1
    assert asso.replies == []


def test_the_opposite_act_makes_it_an_application_again(asso):
    asso.deliver(doubtful())
    asso.run_pass()
    asso.move("<doute@example.org>", "INBOX")
    asso.run_pass()

    asso.move("<doute@example.org>", COMPLETE)
    asso.run_pass()

    assert asso.where("<doute@example.org>") == [COMPLETE]
    assert asso.reply_templates == ["complete"]
    assert record(asso)["application"]["status"] == "complete"


def test_a_filed_application_moved_out_leaves_the_register_and_its_files_can_be_found(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    asso.move("<1@example.org>", "INBOX")
    asso.run_pass()
    asso.run_pass()

    assert asso.where("<1@example.org>") == ["INBOX"]
    assert all(name.startswith("_ecartees/") for name in asso.files())
    assert "Dupont" not in (asso.archive / "index.html").read_text(encoding="utf-8")
    assert asso.reply_templates == ["complete"]
    body = asso.digest().get_body(("plain",)).get_content()
    assert "_ecartees/" in body

    asso.move("<1@example.org>", COMPLETE)
    asso.run_pass()

    assert not any(name.startswith("_ecartees/") for name in asso.files())
    assert "Dupont" in (asso.archive / "index.html").read_text(encoding="utf-8")
    assert asso.reply_templates == ["complete"]


def test_any_folder_outside_the_tree_means_no_application(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.deliver(doubtful())
    asso.run_pass()

    asso.move("<1@example.org>", "Divers")
    asso.move("<doute@example.org>", "Divers")
    asso.run_pass()

    assert all(name.startswith("_ecartees/") for name in asso.files())
    ledger = asso.journal.ledger()
    assert (ledger.filed, ledger.doubt, ledger.left) == (0, 0, 2)


def test_a_deleted_message_leaves_its_application_alone(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    asso.delete("<1@example.org>")
    asso.run_pass()
    asso.run_pass()

    assert not any(name.startswith("_ecartees/") for name in asso.files())
    assert asso.digest().get_body(("plain",)).get_content().count("supprimé de la messagerie") == 1


@pytest.mark.parametrize(
    ("folder", "status", "timing"),
    [(INCOMPLETE, "incomplete", "on_time"), (LATE, "complete", "late")],
)
def test_where_staff_place_an_application_stands(asso, folder, status, timing):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    asso.move("<1@example.org>", folder)
    asso.run_pass()
    asso.deliver(candidature(message_id="<2@example.org>", answers="<1@example.org>", text="Avec mon CV à jour."))
    asso.run_pass()
    asso.run_pass()

    assert asso.where("<1@example.org>") == [folder]
    assert asso.where("<2@example.org>") == [folder]
    kept = record(asso)["application"]
    assert (kept["status"], kept["timing"], kept["staff_placed"]) == (status, timing, True)
    assert asso.reply_templates == ["complete"]


def test_placing_it_back_undoes_it(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()
    asso.move("<1@example.org>", LATE)
    asso.run_pass()

    asso.move("<1@example.org>", COMPLETE)
    asso.run_pass()

    kept = record(asso)["application"]
    assert (kept["status"], kept["timing"]) == ("complete", "on_time")
    assert asso.reply_templates == ["complete"]


def test_another_offer_takes_files_and_register_along(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    asso.move("<1@example.org>", f"{TREE}/{SECOND_OFFER}/Complètes")
    asso.run_pass()

    assert all(name.startswith(f"{SECOND_OFFER}/") for name in asso.files())
    assert record(asso)["application"]["offer"] == SECOND_OFFER
    old = openpyxl.load_workbook(asso.archive / OFFER / "suivi.xlsx").active
    new = openpyxl.load_workbook(asso.archive / SECOND_OFFER / "suivi.xlsx").active
    assert not any("DUPONT" in str(cell.value).upper() for row in old for cell in row)
    assert any("DUPONT" in str(cell.value).upper() for row in new for cell in row)


def test_a_folder_of_no_offer_changes_nothing_and_is_told(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    asso.move("<1@example.org>", f"{TREE}/Favoris")
    asso.run_pass()
    asso.run_pass()

    assert asso.where("<1@example.org>") == [f"{TREE}/Favoris"]
    assert record(asso)["application"]["status"] == "complete"
    text = asso.digest().get_body(("plain",)).get_content()
    assert text.count("Favoris") == 1


def test_an_enquiry_dragged_into_an_offer_is_an_application(asso):
    asso.deliver(
        eml(
            from_="Paul Morin <paul.morin@example.org>",
            subject="Question sur le poste",
            text="Bonjour, le poste est-il ouvert au télétravail ?\nPaul Morin\n",
            message_id="<q@example.org>",
        )
    )
    asso.run_pass()
    assert asso.where("<q@example.org>") == ["INBOX"]

    asso.move("<q@example.org>", INCOMPLETE)
    asso.run_pass()

    assert asso.where("<q@example.org>") == [INCOMPLETE]
    assert asso.reply_templates == ["incomplete"]
    assert asso.journal.ledger().filed == 1


def test_a_message_never_seen_before_put_into_the_tree_is_filed(asso):
    asso.run_pass()

    asso.append(COMPLETE, candidature(message_id="<papier@example.org>"))
    asso.run_pass()

    assert asso.where("<papier@example.org>") == [COMPLETE]
    assert asso.reply_templates == ["complete"]
    assert record(asso)["application"]["status"] == "complete"


def test_the_first_run_takes_old_mail_in_the_tree_for_nothing(asso):
    asso.append(COMPLETE, candidature(message_id="<ancien@example.org>"))

    asso.run_pass()
    asso.run_pass()

    assert asso.journal.ledger().messages == 0
    assert asso.replies == []


def test_a_copy_that_staff_make_says_nothing(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()
    with asso.imap() as client:
        client.select_folder(COMPLETE)
        client.create_folder(f"{TREE}/{SECOND_OFFER}/Complètes")
        client.copy(client.search(), f"{TREE}/{SECOND_OFFER}/Complètes")

    asso.run_pass()

    assert record(asso)["application"]["offer"] == OFFER


def test_a_crash_between_a_move_and_its_correction_changes_nothing(asso):
    asso.deliver(doubtful())
    asso.run_pass()
    asso.move("<doute@example.org>", COMPLETE)

    asso.reopen()
    asso.run_pass()
    asso.reopen()
    asso.run_pass()

    assert asso.where("<doute@example.org>") == [COMPLETE]
    assert asso.reply_templates == ["complete"]


# --- by command ------------------------------------------------------------------------------------------------


def run(asso: Association, *words: str) -> tuple[int, str]:
    """A command of the program; the service runs on."""
    result = CliRunner().invoke(app, [*words, "--config", str(asso.config)], catch_exceptions=True)
    if isinstance(result.exception, AgentError):
        return result.exception.exit_status, str(result.exception)
    return result.exit_code, result.output


def test_a_command_does_the_same_while_the_agent_runs(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    assert run(asso, "correct", "1", "late")[0] == 0
    asso.run_pass()
    assert asso.where("<1@example.org>") == [LATE]
    assert run(asso, "correct", "1", "offer", SECOND_OFFER)[0] == 0
    asso.run_pass()
    assert asso.where("<1@example.org>")[0].startswith(f"{TREE}/{SECOND_OFFER}/")
    assert run(asso, "correct", "1", "no")[0] == 0
    asso.run_pass()
    assert asso.where("<1@example.org>") == ["INBOX"]
    assert run(asso, "correct", "1", "yes")[0] == 0
    asso.run_pass()

    assert asso.where("<1@example.org>")[0].startswith(f"{TREE}/{SECOND_OFFER}/")
    assert asso.reply_templates == ["complete"]
    assert len([item for item in record(asso)["events"] if "commande" in (item["who"] or "")]) == 4


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("99", "yes"), 1, "no message 99"),
        (("1", "offer", "jardinier"), 1, OFFER),
        (("1", "maybe"), 2, "say one of"),
        (("1", "offer"), 2, "wants an id"),
    ],
)
def test_a_command_that_makes_no_sense_is_told_at_once(asso, words, status, said):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    found, text = run(asso, "correct", *words)

    assert found == status
    assert said in text


def without_first_offer(asso: Association) -> None:
    """The post is filled: somebody removes the offer's file."""
    (asso.folder / "rules" / "offers" / f"{OFFER}.toml").unlink()
    asso.reopen()


def test_an_application_for_an_offer_that_is_gone_is_corrected_all_the_same(asso):
    asso.deliver(candidature(bring=("cv",), message_id="<1@example.org>"))
    asso.run_pass()
    without_first_offer(asso)

    run(asso, "correct", "1", "late")
    asso.run_pass()

    assert asso.where("<1@example.org>") == [LATE]
    assert record(asso)["missing"] == ["letter"]


def test_an_application_for_an_offer_that_is_gone_may_be_put_in_doubt(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()
    without_first_offer(asso)

    asso.move("<1@example.org>", DOUBT)
    asso.run_pass()

    assert record(asso)["status"] == "doubt"


def test_two_corrections_at_once_end_with_the_last_word(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()
    run(asso, "correct", "1", "no")
    run(asso, "correct", "1", "incomplete")

    for _ in range(3):
        asso.run_pass()

    assert asso.where("<1@example.org>") == [INCOMPLETE]
    assert asso.reply_templates == ["complete"]


def test_what_staff_corrected_becomes_labelled_cases(asso, tmp_path):
    asso.deliver(doubtful())
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.deliver(doubtful("<2@example.org>"))
    asso.run_pass()
    asso.move("<doute@example.org>", "INBOX")
    asso.move("<1@example.org>", "INBOX")
    asso.move("<2@example.org>", f"{TREE}/{SECOND_OFFER}/Incomplètes")
    asso.run_pass()

    status, text = run(asso, "corrections", "--export", str(tmp_path / "cases"))

    assert status == 0, text
    labels = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "cases").glob("*.json")}
    assert labels == {
        "1": {"kind": "other", "offer": None},
        "2": {"kind": "other", "offer": None},
        "3": {"kind": "application", "offer": SECOND_OFFER},
    }
    assert all((tmp_path / "cases" / f"{name}.eml").stat().st_size for name in labels)
