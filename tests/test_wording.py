"""Days, hours, counts and strangers' text as people read them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from inbox_agent.wording import (
    clock_words,
    count_words,
    day_words,
    enumeration,
    french_spaces,
    moment_words,
    size_words,
    spark,
    thousands,
    visible,
)

MOMENT = datetime(2024, 2, 13, 9, 5, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "language", "options", "words"),
    [
        (date(2024, 2, 15), "fr", {}, "15 février 2024"),
        (date(2024, 3, 1), "fr", {}, "1er mars 2024"),
        (date(2024, 8, 11), "fr", {"year": False}, "11 août"),
        (date(2024, 2, 13), "fr", {"weekday": True, "year": False}, "mardi 13 février"),
        (date(2024, 12, 1), "en", {"weekday": True}, "Sunday 1 December 2024"),
        (MOMENT, "fr", {}, "13 février 2024"),
    ],
)
def test_days_are_written_out(day, language, options, words):
    assert day_words(day, language, **options) == words


def test_hours_are_written_as_each_language_does():
    assert clock_words(MOMENT) == "9\xa0h\xa005"
    assert clock_words(MOMENT, "en") == "09:05"
    assert moment_words(MOMENT) == "13 février 2024 à 9\xa0h\xa005"
    assert moment_words(MOMENT, "en") == "13 February 2024 at 09:05"


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0\xa0nouvelle"), (1, "1\xa0nouvelle"), (2, "2\xa0nouvelles"), (1234, "1\xa0234\xa0nouvelles")],
)
def test_zero_and_one_are_singular_in_french(number, words):
    assert count_words(number, "nouvelle") == words


@pytest.mark.parametrize(
    ("items", "words"), [([], ""), (["a"], "a"), (["a", "b"], "a et b"), (["a", "b", "c"], "a, b et c")]
)
def test_lists_are_joined_as_french_does(items, words):
    assert enumeration(items) == words


@pytest.mark.parametrize(
    ("octets", "words"), [(0, "0 octet"), (999, "999 octets"), (12_345, "12 Ko"), (18_400_000, "18,4 Mo")]
)
def test_sizes_are_by_thousands(octets, words):
    assert size_words(octets) == words.replace(" ", "\xa0")


def test_large_numbers_are_grouped():
    assert thousands(1_234_567) == "1\xa0234\xa0567"


def test_a_spark_rises_with_its_numbers():
    days = [(date(2024, 2, day), number) for day, number in enumerate([0, 1, 4, 8], start=1)]

    assert spark(days) == "·▁▄█"
    assert spark([]) == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Jeanne  Dupont\t", "Jeanne Dupont"),
        ("a\r\nb\x00c", "a b c"),
        ("CV\u202efdp.exe", "CV‹U+202E›fdp.exe"),
        ("zero\u200bwidth", "zero‹U+200B›width"),
        ("\ud800", "‹U+D800›"),
        ("بسمة", "بسمة"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Nguyễn", "Nguyễn"),
        ("a" + "\u0301" * 50, "a" + "\u0301" * 4),
    ],
)
def test_a_strangers_text_is_one_line_that_hides_nothing(text, shown):
    assert visible(text) == shown


def test_the_end_of_a_very_long_name_is_shown():
    assert visible("x" * 5000 + ".pdf.exe").endswith("x.pdf.exe")


@pytest.mark.parametrize(
    ("typed", "set_"),
    [
        ("Bonjour : « oui » !", "Bonjour\xa0: «\xa0oui\xa0»\xa0!"),
        ("à 10 %", "à 10\xa0%"),
        ("https://example.org/a:b", "https://example.org/a:b"),
    ],
)
def test_french_punctuation_gets_its_spaces(typed, set_):
    assert french_spaces(typed) == set_
