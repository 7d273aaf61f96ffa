"""Staff answer a digest with short words: what is understood, who is believed, what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from inbox_agent.answers import Answer, authenticated, commands_in, read_command

from association import DIRECTRICE, OFFER, SECOND_OFFER, SECRETARY, association, candidature
from making import eml
from test_corrections import COMPLETE, DOUBT, INCOMPLETE, doubtful, record, scan_without_a_word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from association import Association

TRUSTED = "mx.villesaucarre.org"
PASSED = f"{TRUSTED}; dmarc=pass header.from=villesaucarre.org"


@pytest.fixture
def asso(tmp_path: Path) -> Iterator[Association]:
    with association(tmp_path, replies=f'trusted_authserv_id = "{TRUSTED}"') as made:
        yield made


@pytest.mark.parametrize(
    ("line", "understood"),
    [
        ("oui 12", Answer("yes", 12)),
        ("Oui 12.", Answer("yes", 12)),
        ("OUI n° 12", Answer("yes", 12)),
        ("oui\N{NO-BREAK SPACE}12 !", Answer("yes", 12)),
        ("non 12", Answer("no", 12)),
        ("12 : non", Answer("no", 12)),
        ("répondre 12", Answer("answer", 12)),
        ("Repondre 12", Answer("answer", 12)),
        ("offre 12 comptable-2024", Answer("offer", 12, "comptable-2024")),
        ("Offre 12 : Comptable-2024", Answer("offer", 12, "comptable-2024")),
        ("- oui 12", Answer("yes", 12)),
    ],
)
def test_a_command_is_understood_however_it_is_typed(line, understood):
    (command,) = commands_in(f"Bonjour,\n\n{line}\n\nBonne soirée\nHélène")
    assert read_command(command) == understood


@pytest.mark.parametrize(
    "line",
    [
        "oui, je suis d'accord pour le 12",
        "non, 12 candidatures c'est trop",
        "offre 12",
        "oui",
        "12",
        "oui 12 comptable",
        "→ oui 12 : c’est une candidature",
        "oui douze",
    ],
)
def test_prose_is_no_command(line):
    assert commands_in(line) == ()


def test_several_commands_stand_in_one_mail_or_on_one_line():
    assert commands_in("oui 12\nnon 13\n") == ("oui 12", "non 13")
    assert commands_in("oui 12, non 13 ; répondre 14") == ("oui 12", "non 13", "repondre 14")


@pytest.mark.parametrize(
    ("results", "believed"),
    [
        ([PASSED], True),
        ([f"{TRUSTED}; dkim=pass header.d=villesaucarre.org"], True),
        ([f"{TRUSTED}; spf=pass smtp.mailfrom=villesaucarre.org"], True),
        ([f"{TRUSTED}; auth=pass smtp.auth={SECRETARY}"], True),
        ([f"{TRUSTED}; auth=pass smtp.auth=autre@villesaucarre.org"], False),
        ([f"{TRUSTED}; dkim=pass header.d=example.org"], False),
        ([f"{TRUSTED}; spf=pass smtp.mailfrom=example.org; dmarc=fail"], False),
        ([f"{TRUSTED}; dmarc=fail (dmarc=pass)"], False),
        ([f"{TRUSTED}; none"], False),
        (["mx.example.org; dmarc=pass"], False),
        ([f"{TRUSTED}; dmarc=fail", PASSED], False),
        ([], False),
    ],
)
def test_only_the_trusted_server_vouches_for_a_sender(results, believed):
    assert authenticated(SECRETARY, results, TRUSTED) is believed


def answer(asso: Association, words: str, *, from_: str = SECRETARY, results: str | None = PASSED) -> None:
    """Somebody answers the digest of today from a mail program that quotes it below."""
    digest = asso.digest()
    asso.clock.later(hours=15)
    quoted = "\n".join(f"> {line}" for line in digest.get_body(("plain",)).get_content().splitlines())
    headers = {"Authentication-Results": results} if results else {}
    identifier = digest["Message-ID"]
    asso.deliver(
        eml(
            from_=from_,
            to=DIRECTRICE,
            cc=None,
            subject=f"Re: {digest['Subject']}",
            text=f"{words}\n\nLe 13 février 2024 à 18:00, Villes au Carré a écrit :\n{quoted}\n",
            message_id="<reponse@villesaucarre.org>",
            headers={**headers, "In-Reply-To": identifier, "References": identifier},
        )
    )
    asso.run_pass()


def test_yes_files_and_answers_once(asso):
    asso.deliver(doubtful())
    asso.run_pass()

    answer(asso, "oui 1")
    asso.run_pass()

    assert asso.where("<doute@example.org>") == [INCOMPLETE]
    assert asso.reply_templates == ["incomplete"]
    assert asso.where("<reponse@villesaucarre.org>") == ["INBOX"]
    (event,) = [item for item in record(asso)["events"] if item["kind"] == "correction"]
    assert event["who"] == SECRETARY


def test_yes_said_twice_by_two_colleagues_is_said_once(asso):
    asso.deliver(scan_without_a_word())
    asso.run_pass()
    assert asso.where("<scan@example.org>") == [DOUBT]

    answer(asso, "oui 1")
    answer(asso, "oui 1")

    assert asso.where("<scan@example.org>") == [INCOMPLETE]
    assert asso.replies == []
    assert "déjà une candidature" in asso.digest().get_body(("plain",)).get_content()


def test_no_puts_it_back_into_the_inbox_and_leaves_it_there(asso):
    asso.deliver(doubtful())
    asso.run_pass()

    answer(asso, "non 1")
    asso.run_pass()
    asso.run_pass()

    assert asso.where("<doute@example.org>") == ["INBOX"]
    assert asso.replies == []
    assert asso.journal.ledger().doubt == 0


def test_no_and_then_yes_makes_it_an_application_again(asso):
    asso.deliver(candidature(message_id="<1@example.org>"))
    asso.run_pass()

    answer(asso, "non 1")
    assert asso.where("<1@example.org>") == ["INBOX"]
    answer(asso, "oui 1")
    asso.run_pass()

    assert asso.where("<1@example.org>") == [COMPLETE]
    assert asso.reply_templates == ["complete"]
    assert not any(name.startswith("_ecartees") for name in asso.files())


def test_offer_files_it_for_that_offer(asso):
    asso.deliver(doubtful())
    asso.run_pass()

    answer(asso, f"offre 1 {SECOND_OFFER}")

    assert asso.where("<doute@example.org>") == [f"Candidatures/{SECOND_OFFER}/Incomplètes"]


def test_an_unknown_offer_changes_nothing_and_the_next_digest_names_the_known_ones(asso):
    asso.deliver(doubtful())
    asso.run_pass()

    answer(asso, "offre 1 jardinier\noui 99")

    assert asso.where("<doute@example.org>") == [DOUBT]
    text = " ".join(asso.digest().get_body(("plain",)).get_content().split())
    assert "jardinier" in text
    assert OFFER in text
    assert "99" in text


def test_answer_sends_what_was_withheld(tmp_path):
    with association(tmp_path, replies=f'trusted_authserv_id = "{TRUSTED}"') as asso:
        octets = candidature(message_id="<1@example.org>")
        asso.deliver(b"Authentication-Results: " + TRUSTED.encode() + b"; dmarc=fail\r\n" + octets)
        asso.run_pass()
        assert asso.replies == []

        answer(asso, "répondre 1")
        asso.run_pass()
        answer(asso, "répondre 1")

        assert asso.reply_templates == ["complete"]
        assert "déjà répondu" in asso.digest().get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("from_", "results", "why"),
    [
        ("inconnu@example.org", PASSED, "adresse de l’équipe"),
        ("collegue@villesaucarre.org", PASSED, "adresse de l’équipe"),
        (SECRETARY, f"{TRUSTED}; dmarc=fail", "vérifier"),
        (SECRETARY, None, "vérifier"),
    ],
)
def test_whoever_cannot_be_believed_changes_nothing_and_is_told_of(asso, from_, results, why):
    asso.deliver(doubtful())
    asso.run_pass()

    answer(asso, "oui 1", from_=from_, results=results)
    asso.run_pass()

    assert asso.where("<doute@example.org>") == [DOUBT]
    text = " ".join(asso.digest().get_body(("plain",)).get_content().split())
    assert "réponse au bulletin refusée" in text
    assert why in text


def test_without_a_trusted_server_no_answer_is_believed(tmp_path):
    with association(tmp_path) as asso:
        asso.deliver(doubtful())
        asso.run_pass()

        answer(asso, "oui 1")

        assert asso.where("<doute@example.org>") == [DOUBT]
        assert "serveur de confiance" in " ".join(asso.digest().get_body(("plain",)).get_content().split())
