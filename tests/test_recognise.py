"""One message, one verdict: the hard cases by name, with the reasons that a secretary reads."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inbox_agent.application import DocumentKind, Kind, Where
from inbox_agent.offer import Offer, Staff
from inbox_agent.quoting import take_apart, without_closing
from inbox_agent.read import read
from inbox_agent.rules import load_rules
from inbox_agent.shipped import shipped

import making
import papers

DIRECTOR, SECRETARY = "marienoelle.pinson@villesaucarre.org", "helene.dugue@villesaucarre.org"
OFFER = Offer(
    id="charge-de-mission-2024",
    title="Chargé·e de mission questions urbaines et territoriales",
    addressed_to=(DIRECTOR,),
    in_copy=(SECRETARY,),
    keywords=("chargé de mission", "politique de la ville"),
)
STAFF = Staff.of((OFFER,))
JEANNE = "Jeanne Dupont <jeanne@example.org>"


@cache
def rules():
    return load_rules(shipped("rules"))


@cache
def paper(kind: str, name: str = "Jeanne Dupont") -> bytes:
    return making.pdf(papers.lines(kind, name, "jeanne.dupont@perso.example", "urbanisme", 4))


def mail(subject, body, *, sender=JEANNE, to=DIRECTOR, cc=SECRETARY, files=(), **fields) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    if cc:
        message["Cc"] = cc
    message["Subject"] = subject
    message["Message-ID"] = "<1@example.org>"
    message["Date"] = "Tue, 13 Feb 2024 09:00:00 +0100"
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    for name, octets in files:
        message.add_attachment(octets, maintype="application", subtype="pdf", filename=name)
    return message


def judged(message: EmailMessage | bytes, offers=(OFFER,)):
    octets = message if isinstance(message, bytes) else message.as_bytes()
    return read(octets, rules(), offers, Staff.of(offers))


def test_an_application_says_why_in_french_and_names_its_tests():
    reading = judged(mail("Candidature", "Je vous adresse ma candidature.", files=[("CV.pdf", paper("cv"))]))

    assert reading.kind is Kind.APPLICATION
    assert (reading.offer, reading.likely) == (OFFER.id, (OFFER.id,))
    assert reading.candidate.address == "jeanne@example.org"
    assert ("applies", "annonce une candidature : « vous adresse ma candidature »") in {
        (item.test, item.found) for item in reading.evidence
    }
    assert ("addressed_to", f"To: {DIRECTOR}", 1.5) in {(i.test, i.found, i.weight) for i in reading.evidence}


@pytest.mark.parametrize(
    ("to", "cc", "note"),
    [
        (SECRETARY, DIRECTOR, "destinataires inversés"),
        (f"{DIRECTOR}, {SECRETARY}", None, "destinataires principaux"),
        (DIRECTOR, None, "la copie demandée dans l’offre manque"),
        (SECRETARY, None, "adressé à la seule adresse de copie"),
        ("jeanne@example.org", None, "copie cachée"),
        ('"Marienoelle Pinson" <x@evil.example>', None, "le nom affiché"),
    ],
)
def test_unusual_recipients_are_a_note_and_no_obstacle(to, cc, note):
    reading = judged(mail("Candidature", "Voici mon CV.", to=to, cc=cc, files=[("CV.pdf", paper("cv"))]))

    assert reading.kind is Kind.APPLICATION
    assert any(note in said for said in reading.notes)


def test_addresses_are_compared_without_case_and_plus_part():
    reading = judged(mail("Candidature", "Voici mon CV.", to=DIRECTOR.upper().replace("@", "+RH@"), cc=None))

    assert any(item.test == "addressed_to" for item in reading.evidence)


def test_what_is_quoted_is_no_word_of_the_senders():
    quoted = "Le 12/02/2024 à 10:00, X a écrit :\n> Je vous adresse ma candidature.\n> Voici mon CV."
    body = f"Bonjour, merci pour l'information.\n\n{quoted}"

    assert judged(mail("Journée", body)).kind is Kind.OTHER


def test_a_question_about_applying_is_not_an_application():
    assert (
        judged(mail("Poste", "Bonjour, puis-je postuler au poste de chargé de mission sans le permis ?")).kind
        is Kind.ENQUIRY
    )


def test_the_words_of_an_agency_outweigh_the_cv_it_sends():
    body = "Bonjour, notre cabinet de recrutement vous propose le profil d'une consultante disponible. TJM 450 euros."
    reading = judged(
        mail("Profil", body, sender="RH Conseil <a@cabinet.example>", files=[("cv.pdf", paper("cv", "Ana Roy"))])
    )

    assert reading.kind is Kind.OTHER
    assert reading.candidate is None


def test_a_cv_that_is_not_the_writers_is_a_doubt_with_its_reason():
    reading = judged(
        mail(
            "Pour toi",
            "Bonjour, comme promis. Bises",
            sender="Claude Meyer <c@x.example>",
            files=[("cv.pdf", paper("cv", "Ana Roy"))],
        )
    )

    assert (reading.kind, reading.doubt) == (Kind.DOUBT, "le CV joint n’est pas celui de la personne qui écrit")


def test_staff_who_forward_pass_on_the_candidate_inside():
    body = (
        "Pour toi\n\n---------- Forwarded message ---------\nDe : Jeanne Dupont <jeanne@example.org>\n"
        f"Date: lun. 12 févr. 2024 à 10:12\nSubject: Candidature\nTo: <{SECRETARY}>\n\nVoici mon CV pour le poste."
    )
    reading = judged(
        mail("Fwd: Candidature", body, sender=f"H <{SECRETARY}>", cc=None, files=[("CV.pdf", paper("cv"))])
    )

    assert reading.kind is Kind.APPLICATION
    assert (reading.candidate.name, reading.candidate.address) == ("Jeanne Dupont", "jeanne@example.org")
    assert [document.where for document in reading.documents] == [Where.FORWARDED]
    assert reading.never_answer is None


def test_staff_who_forward_a_message_as_an_attachment_do_the_same():
    inner = mail("Candidature", "Voici ma candidature.", to=SECRETARY, cc=None, files=[("CV.pdf", paper("cv"))])
    outer = mail("TR: Candidature", "Pour info", sender=f"H <{SECRETARY}>", cc=None)
    outer.add_attachment(inner)
    reading = judged(outer)

    assert (reading.kind, reading.candidate.address) == (Kind.APPLICATION, "jeanne@example.org")
    assert [(d.kind, d.where) for d in reading.documents] == [(DocumentKind.CV, Where.FORWARDED)]


BELOW = (
    f"De : {JEANNE}\nEnvoyé : lundi 12 février 2024 10:00\nÀ : X\nObjet : Candidature\n\n"
    "Je vous adresse ma candidature."
)


def test_staff_who_answer_with_the_candidates_mail_below_are_among_themselves():
    message = mail("RE: Candidature", f"On la reçoit ?\n\n{BELOW}", sender=f"H <{SECRETARY}>", cc=None)

    assert judged(message).kind is Kind.INTERNAL


def test_a_stranger_who_passes_on_an_application_gets_nobody_answered():
    files = [("CV.pdf", paper("cv"))]
    reading = judged(mail("TR: Candidature", f"Reçu par erreur\n\n{BELOW}", sender="M <m@mairie.example>", files=files))

    assert reading.kind is Kind.APPLICATION
    assert "not certain" in reading.never_answer


def test_a_job_board_is_answered_only_at_the_candidates_own_address():
    def board(**fields):
        return judged(
            mail(
                "Nouvelle candidature",
                "Jeanne Dupont a postulé à votre offre.",
                sender="Indeed <noreply@indeedemail.com>",
                files=[("CV.pdf", paper("cv"))],
                **fields,
            )
        )

    certain = board(Reply_To="jeanne@example.org")
    assert (certain.kind, certain.candidate.address, certain.never_answer) == (
        Kind.APPLICATION,
        "jeanne@example.org",
        None,
    )
    assert board(Auto_Submitted="auto-generated", Reply_To="jeanne@example.org").never_answer
    assert board().candidate.address == "jeanne.dupont@perso.example"


def test_bulk_headers_do_not_hide_an_application_but_silence_the_answer():
    reading = judged(
        mail("Candidature", "Voici ma candidature.", files=[("CV.pdf", paper("cv"))], List_Id="<x.example>")
    )

    assert reading.kind is Kind.APPLICATION
    assert reading.never_answer


def test_a_bounce_names_the_message_of_ours_that_it_is_about():
    octets = (
        b"From: MAILER-DAEMON@x.example\r\nTo: %b\r\nSubject: Undelivered\r\nReturn-Path: <>\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\nfailed\r\n'
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n"
        b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        b"Message-ID: <ours@villesaucarre.org>\r\nSubject: Re\r\n\r\n--b--\r\n"
    ) % DIRECTOR.encode()
    reading = judged(octets)

    assert (reading.kind, reading.bounced) == (Kind.AUTOMATIC, "<ours@villesaucarre.org>")


def test_other_mail_leaves_no_candidate_behind():
    reading = judged(mail("Facture 12", "Bonjour, voici notre facture du mois.", files=[("f.pdf", paper("invoice"))]))

    assert (reading.kind, reading.candidate, reading.offer, reading.notes) == (Kind.OTHER, None, None, ())


def test_a_message_without_a_sender_is_read_like_any_other():
    message = mail("Candidature", "Je postule, voici mon CV.", files=[("CV.pdf", paper("cv"))])
    del message["From"]

    reading = judged(message)

    assert reading.kind is Kind.APPLICATION
    assert reading.never_answer is not None


@pytest.mark.parametrize("beside", ["payslip", "verdict", "certificate", "rib", "form", "ouroffer", "sample"])
def test_the_words_of_another_paper_beside_the_cv_are_not_the_candidates(beside):
    files = [("CV.pdf", paper("cv")), ("LM.pdf", paper("letter")), ("autre.pdf", paper(beside))]

    assert judged(mail("Candidature", "Bonjour, voir pièces jointes.", files=files)).kind is Kind.APPLICATION


TELLS_OF_HERSELF = """Madeleine Ould Brahim
12 rue des Tanneurs, 80000 Amiens
Amiens, le 6 février 2024

Madame,

Ma sœur fréquente votre maison et m'a parlé des repas du jeudi. Je tiens la cuisine d'une cantine
depuis neuf ans, et je voudrais la tenir chez vous. Je sais nourrir soixante personnes avec peu,
je connais les interdits de chacun, et je n'ai jamais jeté un plat. Avant cela j'ai élevé quatre
enfants et appris le français le soir, à la table où ils faisaient leurs devoirs.

Je vous remercie de me recevoir, le jour qui vous conviendra.

Avec mes salutations,
Madeleine Ould Brahim"""


def test_a_letter_that_tells_of_its_writer_and_names_no_post_is_for_a_person():
    files = [("lettre.pdf", making.pdf(TELLS_OF_HERSELF.splitlines()))]
    reading = judged(mail("Courrier", "Bonjour, vous trouverez un document ci-joint.", files=files))

    assert (reading.kind, reading.documents[0].kind) == (Kind.DOUBT, DocumentKind.LETTER)


def test_a_wrong_file_beside_a_clear_candidature_is_an_application():
    reading = judged(mail("Candidature", "Je vous adresse ma candidature.", files=[("a.pdf", paper("invoice"))]))

    assert reading.kind is Kind.APPLICATION


def test_a_program_called_cv_is_a_doubt_and_beside_papers_it_silences_the_answer():
    program = ("CV_Anna.exe", b"MZ" + bytes(60))
    alone = judged(mail("CV", "Hello, please open my CV.", files=[program]))
    beside = judged(mail("Candidature", "Je postule.", files=[("CV.pdf", paper("cv")), program]))

    assert (alone.kind, beside.kind) == (Kind.DOUBT, Kind.APPLICATION)
    assert beside.never_answer == "a program is attached"


def test_a_transfer_services_notice_is_an_application_that_nobody_answers():
    body = "jeanne@perso.example vous a envoyé des fichiers\nCV_Dupont.pdf\nhttps://we.tl/t-AbCd12\nJeanne Dupont"
    sender = "WeTransfer <noreply@wetransfer.com>"
    reading = judged(mail("Des fichiers vous attendent", body, sender=sender))

    assert (reading.kind, reading.candidate.address) == (Kind.APPLICATION, "jeanne@perso.example")
    assert reading.never_answer is not None


def test_what_could_not_be_read_whole_is_no_other_mail():
    octets = mail("Bonjour", "Bonne journée.").as_bytes()
    nested = octets.replace(b"Subject: Bonjour", b"Subject: Bonjour\r\n" + b"X-Filler: y\r\n" * 200_000)

    assert judged(octets).kind is Kind.OTHER
    assert judged(nested).kind is Kind.DOUBT


def test_two_open_offers_that_nothing_tells_apart_are_a_doubt():
    other = Offer(id="comptable-2024", title="Comptable", addressed_to=(DIRECTOR,), in_copy=(SECRETARY,))
    reading = judged(
        mail(
            "Candidature",
            "Voici mon CV.",
            files=[("cv.pdf", making.pdf(papers.lines("cv", "Jeanne Dupont", "j@x.example", "logistique", 3)))],
        ),
        (OFFER, other),
    )

    assert (reading.kind, reading.offer, len(reading.likely)) == (Kind.DOUBT, None, 2)


@pytest.mark.parametrize(
    ("subject", "offer"),
    [
        ("Candidature réf. CPT/24-7", "comptable-2024"),
        ("Candidature comptable", "comptable-2024"),
        ("candidature chargée de mission questions urbaines", OFFER.id),
        ("Candidature au poste de jardinier", None),
        ("Candidature spontanée", None),
        ("Recherche de stage", None),
    ],
)
def test_the_offer_is_told_by_reference_title_or_its_absence(subject, offer):
    other = Offer(id="comptable-2024", title="Comptable", addressed_to=(DIRECTOR,), reference="CPT/24-7")
    octets = making.pdf(papers.lines("cv", "Jeanne Dupont", "j@x.example", "logistique", 3))
    reading = judged(mail(subject, "Bonjour, voici mon CV.", files=[("cv.pdf", octets)]), (OFFER, other))

    assert (reading.kind, reading.offer) == (Kind.APPLICATION, offer)


def test_two_deliveries_of_one_message_have_one_fingerprint_and_another_body_another():
    first = mail("Candidature", "Voici mon CV.").as_bytes()
    again = b"Received: from x by y; Tue, 13 Feb 2024 10:00:00 +0100\r\n" + first
    other = mail("Candidature", "Voici mon autre CV.").as_bytes()

    assert judged(first).fingerprint == judged(again).fingerprint != judged(other).fingerprint
    assert judged(again).received == datetime(2024, 2, 13, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "introduction",
    [
        "Le lun. 12 févr. 2024 à 10:12, Jeanne Dupont <jeanne@example.org> a écrit :",
        "Le lun. 12 févr. 2024 à 10:12, Jeanne Dupont\n<jeanne@example.org> a écrit :",
        "Le 12/02/2024 à 10:12, Jeanne Dupont a écrit :",
        "On Mon, Feb 12, 2024 at 10:12 AM Jeanne Dupont <jeanne@example.org> wrote:",
        "-----Message d'origine-----\nDe : Jeanne",
        "De : Jeanne Dupont <jeanne@example.org>\nEnvoyé : lundi 12 février 2024 10:12\nÀ : X\nObjet : Y",
        "________________________________\nDe : Jeanne <jeanne@example.org>\nEnvoyé : lundi\nÀ : X\nObjet : Y",
        '> Message du 12/02/24 10:12\n> De : "Jeanne" <jeanne@example.org>\n> A : x@y.example\n> Objet : Y',
        "----- Mail original -----\nDe: Jeanne\nÀ: X\nEnvoyé: Lundi\nObjet: Y",
        "-------- Message d'origine --------\nDe : Jeanne <j@example.org>\nDate : 12/02/2024 10:12\nÀ : X\nObjet : Y",
    ],
)
def test_quotes_are_cut_in_the_form_of_every_client(introduction):
    written = take_apart(f"Merci beaucoup.\n\n{introduction}\n\nJe vous adresse ma candidature.")

    assert written.own == "Merci beaucoup."


def test_what_stands_below_the_closing_formula_is_a_signature():
    assert without_closing("Voici mon CV.\nCordialement\nX\nNotre cabinet")[0] == "Voici mon CV."


def test_taking_apart_is_linear():
    text = "Le 12 " * 30_000 + "\n" + "On On On\n" * 20_000 + "> " * 50_000

    assert take_apart(text) is not None


@settings(max_examples=60, deadline=None)
@given(subject=st.text(max_size=80), body=st.text(max_size=600), name=st.text(max_size=40))
def test_any_words_give_a_verdict(subject, body, name):
    head = f"From: {name!r} <a@example.org>\r\nTo: {DIRECTOR}\r\nSubject: {subject!r}\r\n"
    head += "Content-Type: text/plain; charset=utf-8\r\n\r\n"

    assert judged((head + body).encode("utf-8", "replace")).kind in Kind


@pytest.mark.corpora
def test_not_one_bounce_is_an_application_or_answered():
    folder = os.environ.get("INBOX_AGENT_CORPORA")
    if not folder:
        pytest.skip("INBOX_AGENT_CORPORA names no folder")
    bounces = sorted(Path(folder).glob("mails/sisimai/maildir/*/*.eml"))
    assert len(bounces) > 500
    for path in bounces:
        reading = judged(path.read_bytes())
        assert reading.kind in (Kind.AUTOMATIC, Kind.BULK, Kind.OTHER, Kind.DOUBT), path


def test_a_cv_in_the_body_is_one_of_a_person_and_never_of_a_machine():
    pasted = (
        "Bonjour, je ne sais pas joindre de fichier, voici mon CV.\n\nJEANNE DUPONT\n12 rue des Lilas, 37000 Tours\n"
        "06 12 23 34 45\nEXPERIENCES\n2018-2023 Chargée de projet, Tours\n2015-2018 Animatrice, centre social\n"
        "FORMATION\n2015 Master Villes et territoires\n2012 Licence de sociologie\nCOMPETENCES\nQGIS, Excel\n"
    )

    reading = judged(mail("Candidature", pasted))
    by_machine = judged(mail("failure notice", pasted, Auto_Submitted="auto-replied"))

    assert [(one.kind, one.where) for one in reading.documents] == [(DocumentKind.CV, Where.BODY)]
    assert (reading.kind, by_machine.kind) == (Kind.APPLICATION, Kind.AUTOMATIC)


def test_a_relative_who_asks_for_somebody_and_sends_nothing_is_answered_by_nobody():
    body = (
        "Madame,\nma nièce Lola cherche un emploi et elle est trop timide pour appeler. Voyez ce que vous pouvez faire."
    )

    assert judged(mail("ma nièce", body)).kind is Kind.OTHER
    assert judged(mail("ma nièce", f"{body} Prenez-vous encore quelqu’un ?")).kind is Kind.ENQUIRY


def test_an_adviser_who_asks_before_sending_papers_asks():
    body = (
        "Bonjour,\nconseillère en insertion à Cap emploi, je suis un monsieur que votre annonce intéresse. "
        "Le permis est-il indispensable ?\nMme Roux"
    )

    assert judged(mail("Un demandeur d’emploi", body, sender="Roux <a.roux@capemploi-80.example>")).kind is Kind.ENQUIRY


def test_who_is_away_is_a_program_whatever_it_says_of_precedence():
    away = mail("Absence du bureau : Candidature", "Je rentre lundi.", Precedence="bulk")

    assert judged(away).kind is Kind.AUTOMATIC


def test_who_withdraws_and_wants_to_be_forgotten_withdraws():
    body = (
        "Bonjour,\nje retire ma candidature au poste de chargé de mission. Merci d’effacer mes données.\nJeanne Dupont"
    )
    reading = judged(mail("Retrait", body))

    assert reading.kind is Kind.WITHDRAWAL
    assert any("données personnelles" in note for note in reading.notes)


def test_a_question_about_the_letter_itself_is_one():
    body = "Bonjour,\nfaut-il joindre une lettre de motivation, ou le CV suffit-il ?\nJeanne"

    question = mail("Une précision", body, sender="Jeanne Dupont <jeanne.d@gmail.com>", to=SECRETARY, cc=None)

    assert judged(question).kind is Kind.ENQUIRY


def test_a_site_that_has_put_our_offer_up_passes_nobody_on():
    body = "Votre offre « Chargé de mission » est visible. Vous serez prévenu de chaque candidature reçue."
    reading = judged(mail("Votre offre est publiée", body, sender="Indeed <no-reply@indeed.com>", cc=None))

    assert reading.kind is Kind.AUTOMATIC


def test_a_file_called_lm_that_the_message_calls_my_letter_is_the_letter():
    told = "Je veille la nuit sur un foyer.\nLe logement des jeunes m’occupe.\nPaul Ravel".splitlines()
    files = [("LM_Ravel.pdf", making.pdf(told))]
    reading = judged(mail("Candidature", "Madame,\nvoici ma lettre de motivation.\nPaul Ravel", files=files))

    assert (reading.kind, reading.documents[0].kind) == (Kind.APPLICATION, DocumentKind.LETTER)
