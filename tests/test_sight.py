"""Who speaks, and what is looked for, as far as a message shows it."""

from __future__ import annotations

from functools import cache

import pytest
from inbox_agent.message import Address
from inbox_agent.person import at_the_end, words_of_file
from inbox_agent.pieces import candidates_part
from inbox_agent.rules import load_rules
from inbox_agent.shipped import shipped
from inbox_agent.sight import is_from, is_institution, is_public, other_goal, says_trade, trade_in_subject


@cache
def lists():
    return load_rules(shipped("rules")).recognition.lists


@pytest.mark.parametrize(
    ("name", "spec", "expected"),
    [
        ("Agence Tempo", "orleans@agence-tempo.example", True),
        ("Service annonces", "annonces@courrier.example", True),
        ("Le Rucher des assos", "bonjour@rucherdesassos.example", True),
        ("Élodie Marchal", "elodie.marchal@hexa.example", False),
        ("K. Mori", "k.mori@univ.example", False),
        ("", "nora75@gmail.com", False),
        ("La famille Dupont", "famille.dupont@orange.fr", False),
    ],
)
def test_an_organisation_is_told_from_a_person_who_writes_from_one(name, spec, expected):
    assert is_institution(Address(name, spec), lists()["no_names"], lists()["shared_names"]) is expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("gmail.com", True),
        ("yahoo.co.uk", True),
        ("zoho.eu", True),
        ("mairie-exemple.fr", False),
        ("mail.entreprise.fr", False),
        ("", False),
    ],
)
def test_a_public_provider_is_known_under_every_top_level_domain(domain, expected):
    assert is_public(domain) is expected


def test_a_site_is_known_under_every_top_level_domain_and_a_share_by_its_whole_address():
    boards, transfers = lists()["job_boards"], lists()["transfer_services"]

    assert is_from((Address("", "jobs@mail.hellowork.example"),), boards)
    assert is_from((Address("", "x@talent.example"),), boards) is None  # A word of its own.
    assert is_from((Address("", "drive-shares-dm-noreply@google.com"),), transfers)
    assert is_from((Address("", "calendar-notification@google.com"),), transfers) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Je cherche une salle pour répéter.", "une salle pour repeter"),
        ("Voici mon CV pour votre annuaire.", "votre annuaire"),
        ("Lettre de motivation pour l'achat du local", "l'achat du local"),
        ("Je recherche activement un emploi de comptable.", None),
        ("Mon CV pour le poste de jardinier.", None),
        ("I am looking for a job in Tours.", None),
        ("Bonjour, ci-joint ma candidature.", None),
    ],
)
def test_what_is_looked_for_is_a_job_or_is_not(text, expected):
    assert other_goal(text, lists()["job_words"] | lists()["trades"]) == expected


def test_a_trade_stands_in_a_short_subject_or_is_said():
    assert trade_in_subject("plombier chauffagiste", lists()["trades"]) == "plombier"
    assert trade_in_subject("Réunion du lundi avec le plombier et le chauffagiste", lists()["trades"]) is None
    assert says_trade("Bonjour. Je suis comptable et disponible.", lists()["trades"]) == "comptable"
    assert says_trade("Bonjour, je cherche le comptable.", lists()["trades"]) is None


def test_of_what_a_site_passes_on_only_the_candidates_words_are_a_letter():
    text = "Jeanne a postulé.\nMessage du candidat :\nJ'aime les villes.\nLe CV est en pièce jointe.\n© Site"

    assert candidates_part(text).strip() == "J'aime les villes."
    assert candidates_part("Jeanne a postulé.\nTéléchargez son CV.") == ""


def test_a_sites_subject_may_end_with_the_name():
    named = at_the_end("Nouvelle candidature : Chargé de mission – Jeanne Dupont", lists()["no_names"])

    assert named is not None
    assert named.full == "Jeanne Dupont"
    assert at_the_end("Votre offre de chargé de mission", lists()["no_names"]) is None


def test_the_words_of_a_files_name_that_could_be_a_persons():
    assert words_of_file("CV_Jeanne-DUPONT_2024.pdf", lists()["no_names"]) == {"jeanne", "dupont"}
    assert words_of_file("CV.pdf", lists()["no_names"]) == frozenset()
