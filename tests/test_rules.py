"""Rules that people change: every fault at once, with its remedy."""

from __future__ import annotations

import pytest
from inbox_agent.errors import ConfigError
from inbox_agent.phrases import PhraseBook, cut
from inbox_agent.rules import load_recognition_rules, load_rules
from inbox_agent.shipped import shipped

SHIPPED = shipped("rules") / "recognition.toml"


def changed(tmp_path, *replacements):
    text = SHIPPED.read_text(encoding="utf-8")
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "recognition.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_rules_load():
    rules = load_recognition_rules(SHIPPED)

    assert rules.cues["applies"].weight == 3.0
    assert "indeed.com" in rules.lists["job_boards"]


def test_a_folder_that_holds_only_offers_takes_the_rest_from_what_ships(tmp_path):
    (tmp_path / "offers").mkdir()

    assert load_rules(tmp_path).recognition.cues.keys() == load_recognition_rules(SHIPPED).cues.keys()


def test_every_fault_is_reported_at_once_with_its_remedy(tmp_path):
    path = changed(
        tmp_path,
        ("addressed_to = 1.5", "adressed_to = 1.5"),
        ("thread = 1.0", 'thread = "much"'),
        ('for = "follow_up"', 'for = "folow_up"'),
        ('"^lu"', '"^lu", "…", "(ouvert"'),
    )

    with pytest.raises(ConfigError) as raised:
        load_recognition_rules(path)

    said = str(raised.value)
    assert "weights.adressed_to: is an unknown key" in said
    assert 'Did you mean "addressed_to"?' in said
    assert "weights.addressed_to: is missing" in said
    assert "weights.thread: 'much' is no weight" in said
    assert "'folow_up' is not known" in said
    assert 'Did you mean "follow_up"?' in said
    assert said.count("cannot be looked for") == 2
    assert all(fault.file == str(path) for fault in raised.value.faults)


@pytest.mark.parametrize("octets", [b"[cue", b"\xff\xfe", b"", b"[cue]\nx = 1\n[lists]\n[weights]\n"])
def test_a_file_that_is_no_rules_is_a_fault_and_no_traceback(tmp_path, octets):
    path = tmp_path / "recognition.toml"
    path.write_bytes(octets)

    with pytest.raises(ConfigError):
        load_recognition_rules(path)


def test_a_missing_file_is_a_fault(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recognition_rules(tmp_path / "recognition.toml")


def found(phrase, text):
    words = cut(text)
    return [words.quote(one.first, one.last) for one in PhraseBook([("x", phrase)]).find(words)]


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("ma candidature", "Voici MA CANDIDATURE."),
        ("ma candidature", "ma canditature"),
        ("interesse* par", "je suis intéressé(e) par"),
        ("interesse* par", "intéressé·e par"),
        ("l'offre", "l’offre d’emploi"),
        ("adresse … candidature", "j'adresse à votre service ma candidature"),
        ("mon|ma cv", "ma CV"),
        ("stage (de 3e|d observation)", "un stage d'observation"),
        ("ouvert ?", "est-il ouvert ?"),
        ("^absence", "Absence du bureau"),
        ("ma _ candidature", "ma\nnouvelle candidature"),
    ],
)
def test_a_phrase_is_found(phrase, text):
    assert found(phrase, text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("adresse … candidature", "Mon adresse a changé. Ma candidature suit"),
        ("^absence", "mon absence"),
        ("ma _ candidature", "ma toute première et belle candidature"),
        ("ouvert ?", "ouvert https://example.org/?a=b"),
        ("mon cv", "mon cvs"),
    ],
)
def test_a_phrase_is_not_found(phrase, text):
    assert not found(phrase, text)


def test_a_word_of_its_own_is_no_typing_error():
    book = load_recognition_rules(SHIPPED).book

    assert not [
        one for one in book.find(cut("la fracture sociale, un congrès")) if one.key in ("money", "out_of_office")
    ]


def test_noise_of_any_length_takes_no_time():
    book = load_recognition_rules(SHIPPED).book

    assert sum(1 for _ in book.find(cut("ma mon le la de candidature cv " * 20_000))) >= 0
