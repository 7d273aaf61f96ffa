"""Names of folders and files: a name from outside never becomes a path (design section 7)."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inbox_agent.application import Candidate, Document, DocumentKind, DocumentState, Where
from inbox_agent.archive import application_folder, clean_name, document_names, message_name, person_name

AT = datetime(2024, 2, 13, 0, 30, tzinfo=ZoneInfo("Europe/Paris"))


def candidate(given_name: str = "Jeanne", surname: str = "Dupont") -> Candidate:
    return Candidate(f"{given_name} {surname}", given_name, surname, "j@example.org")


def document(
    name: str, kind: DocumentKind = DocumentKind.OTHER, media_type: str = "application/pdf", **changes: object
) -> Document:
    fields = {"where": Where.ATTACHMENT, "state": DocumentState.READ, "pages": 1, "part": "2", "size": 1}
    return Document(name=name, kind=kind, media_type=media_type, sha256="0" * 64, **{**fields, **changes})


def test_the_folder_says_offer_date_person_and_six_digits():
    assert application_folder("offre-1", AT, candidate(), "abcdef0123") == PurePosixPath(
        "offre-1/2024-02-13_DUPONT-Jeanne_abcdef"
    )


def test_a_spontaneous_application_has_its_own_folder():
    assert application_folder(None, AT, None, "abcdef0123") == PurePosixPath("spontanees/2024-02-13_Inconnu_abcdef")


@pytest.mark.parametrize(
    ("given_name", "surname", "expected"),
    [
        ("Zoë", "Dupré", "DUPRE-Zoe"),
        ("Anne-Marie", "L'Hôpital", "L-HOPITAL-Anne-Marie"),
        ("Jean", "de La Tour", "DE-LA-TOUR-Jean"),
        ("Œdipe", "Cœur", "COEUR-OEdipe"),
        ("", "", "Inconnu"),
        ("../..", "/etc/passwd", "ETC-PASSWD"),
        ("محمد", "علي", "Inconnu"),
    ],
)
def test_a_person_s_name_is_plain_ascii(given_name, surname, expected):
    assert person_name(candidate(given_name, surname)) == expected


def test_cv_and_letter_have_our_names_with_the_extension_of_what_they_are():
    names = document_names(
        (
            document("whatever.exe.pdf", DocumentKind.CV),
            document(
                "x", DocumentKind.LETTER, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
            ),
            document("tout.pdf", DocumentKind.CV_AND_LETTER),
            document("Diplôme de master.pdf"),
        ),
        candidate(),
        frozenset(),
    )

    assert names == (
        "CV_DUPONT-Jeanne.pdf",
        "LM_DUPONT-Jeanne.docx",
        "CV-LM_DUPONT-Jeanne.pdf",
        "Diplôme de master.pdf",
    )


def test_a_second_version_is_kept_beside_the_first_whatever_the_case():
    taken = frozenset({"cv_dupont-jeanne.pdf"})

    assert document_names((document("a", DocumentKind.CV),), candidate(), taken) == ("CV_DUPONT-Jeanne_2.pdf",)


def test_two_files_of_one_name_do_not_meet():
    assert document_names((document("a.pdf"), document("A.PDF")), candidate(), frozenset()) == ("a.pdf", "A_2.PDF")


def test_a_refused_file_cannot_be_started_by_a_double_click():
    refused = document("facture.pdf.exe", state=DocumentState.REFUSED)

    assert document_names((refused,), candidate(), frozenset()) == ("facture.pdf.exe.refuse",)


def test_messages_are_numbered():
    assert message_name(frozenset()) == "message.eml"
    assert message_name(frozenset({"message.eml", "message-2.eml"})) == "message-3.eml"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../../etc/cron.d/x", "etc-cron.d-x"),
        ("/etc/passwd", "etc-passwd"),
        ("C:\\Windows\\system32\\a.dll", "C-Windows-system32-a.dll"),
        ("cv\x00.pdf", "cv.pdf"),
        ("cv\u202efdp.exe", "cv fdp.exe"),
        (".htaccess", "htaccess"),
        ("CON", "_CON"),
        ("com1.txt", "_com1.txt"),
        ("...", "document"),
        ("", "document"),
        ("a" * 4000 + ".pdf", "a" * 80 + ".pdf"),
        ("nom avec espaces  et\ttabulation.doc", "nom avec espaces et tabulation.doc"),
        ("fin. ", "fin"),
        ('a<b>:"c"|d?*.pdf', "a-b-c-d-.pdf"),
    ],
)
def test_names_from_outside_are_made_harmless(name, expected):
    assert clean_name(name) == expected


@given(st.text(max_size=300))
def test_no_text_whatever_makes_a_path(name):
    cleaned = clean_name(name)

    assert PurePosixPath(cleaned).name == cleaned
    assert cleaned not in {"", ".", ".."}
    assert len(cleaned.encode()) <= 4 * 87
    assert not cleaned.startswith(".")
    assert clean_name(cleaned) == cleaned
