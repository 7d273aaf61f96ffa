"""Names in two parts, well cased, from wherever people write them."""

from __future__ import annotations

import pytest
from inbox_agent.message import Address
from inbox_agent.person import (
    PersonName,
    Traces,
    addresses_written,
    candidate_of,
    child_of,
    name_of,
    passed_on,
    well_cased,
)

NO_NAMES = frozenset({"candidature", "cv", "curriculum", "vitae", "secretariat", "motivation", "lettre", "famille"})


@pytest.mark.parametrize(
    ("display", "given", "surname"),
    [
        ("Jeanne Dupont", "Jeanne", "Dupont"),
        ("DUPONT, Jeanne", "Jeanne", "Dupont"),
        ("DUPONT Jeanne", "Jeanne", "Dupont"),
        ("Jeanne DUPONT", "Jeanne", "Dupont"),
        ("jeanne dupont", "Jeanne", "Dupont"),
        ("jeanne dupont via Indeed", "Jeanne", "Dupont"),
        ("Dupont Jeanne", "Jeanne", "Dupont"),
        ("JEAN DE LA FONTAINE", "Jean", "de La Fontaine"),
        ("Jean-Pierre de La Fontaine", "Jean-Pierre", "de La Fontaine"),
        ("LE GOFF ÉLODIE", "Élodie", "Le Goff"),
        ("Élodie Le Goff", "Élodie", "Le Goff"),
        ("Karim EL KHOURY", "Karim", "El Khoury"),
        ("Sophie van den Berg", "Sophie", "van den Berg"),
        ("kevin o'brien", "Kevin", "O'Brien"),
        ("marie d'ormesson", "Marie", "d'Ormesson"),
        ("Marie-Claude Dupont-Durand", "Marie-Claude", "Dupont-Durand"),
        ("Mme Aïssatou BA", "Aïssatou", "Ba"),
        ("Jeanne Dupont (Tours)", "Jeanne", "Dupont"),
        ('"Jeanne Dupont"', "Jeanne", "Dupont"),
    ],
)
def test_a_display_name_is_split(display, given, surname):
    name = name_of(display, "", NO_NAMES)

    assert name is not None
    assert (name.given, name.surname) == (given, surname)


@pytest.mark.parametrize(
    "display", ["", "jdupont75", "jeanne@example.org", "Candidature spontanée", "Secretariat RH", "Jeanne"]
)
def test_what_is_no_name_is_none(display):
    assert name_of(display, "", NO_NAMES) is None


def test_the_address_tells_the_order_of_two_first_names():
    assert name_of("Martin Paul", "paul.martin@example.org").given == "Paul"
    assert name_of("Martin Paul", "martin.paul@example.org").given == "Martin"


def traces(name="", spec="jdupont75@example.org", text="", papers=(), files=()):
    return Traces(Address(name, spec), text, tuple(papers), tuple(files), NO_NAMES)


def test_without_a_display_name_the_signature_tells():
    candidate = candidate_of(
        traces(text="Bonjour, voici mon CV.\n\nCordialement,\nJeanne Dupont\n06 11 22 33 44"), "jdupont75@example.org"
    )

    assert (candidate.name, candidate.surname) == ("Jeanne Dupont", "Dupont")


def test_without_a_signature_the_cv_tells():
    candidate = candidate_of(traces(papers=["CURRICULUM VITAE\nJeanne DUPONT\n37000 Tours"]), "jdupont75@example.org")

    assert candidate.name == "Jeanne Dupont"


def test_without_readable_papers_the_file_name_tells():
    assert candidate_of(traces(files=["CV_Jeanne_DUPONT_2024.pdf"]), "x1@example.org").name == "Jeanne Dupont"


def test_without_anything_the_address_tells():
    assert (
        candidate_of(traces(spec="jeanne.dupont37@example.org"), "jeanne.dupont37@example.org").name == "Jeanne Dupont"
    )


def test_accents_come_from_where_they_are_kept():
    found = candidate_of(traces("JEROME LEFEVRE", "j@example.org", "Merci\n\nJérôme Lefèvre"), "j@example.org")

    assert found.name == "Jérôme Lefèvre"


def test_somebody_elses_account_gives_way_to_signature_and_cv():
    found = candidate_of(
        traces("Marie Martin", "marie.martin@example.org", "Voici mon CV\n\nLucas Bernard", ["Lucas BERNARD\nTours"]),
        "marie.martin@example.org",
    )

    assert found.name == "Lucas Bernard"


def test_an_initial_gives_way_to_the_whole_name():
    assert (
        candidate_of(
            traces("Nathan B", "n@example.org", "je m'appelle Nathan Beaumont, j'ai 14 ans"), "n@example.org"
        ).name
        == "Nathan Beaumont"
    )


@pytest.mark.parametrize(
    "text",
    [
        "Nom : Roussel\nPrénom : Nathalie",
        "Candidature de Nathalie Roussel pour votre offre",
        "Nathalie Roussel a postulé à votre offre",
        "Candidat : Nathalie ROUSSEL",
    ],
)
def test_a_platform_names_the_candidate(text):
    assert passed_on(text, NO_NAMES).full == "Nathalie Roussel"


def test_capitals_are_lowered_and_mixed_case_is_kept():
    assert well_cased("DE LA TOUR") == "de La Tour"
    assert well_cased("McDonald") == "McDonald"
    assert well_cased("JEAN-PAUL") == "Jean-Paul"


def test_every_address_in_a_text_is_found_once():
    assert addresses_written("a@b.example, A@B.example; c.d@e.example.") == ("a@b.example", "c.d@e.example")


def test_the_child_of_whom_a_parent_writes_is_named_by_the_parent_s_surname():
    parent = PersonName("Stéphanie", "Cailleau")

    assert child_of("Ma fille Lilou, élève de 3e, cherche un stage.", parent) == PersonName("Lilou", "Cailleau")
    assert child_of("Mon fils Théo Roux cherche un stage.", parent) == PersonName("Théo", "Roux")
    assert child_of("Mon fils est en 3e.", parent) is None
