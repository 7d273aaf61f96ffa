"""The board: one file, no network, safe whatever a name or a file name contains."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from datetime import date, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inbox_agent import listing, samples
from inbox_agent.board import Board, relative_link, render_board
from inbox_agent.listing import FiledPiece, ReplyState
from inbox_agent.templates import load_templates

TEMPLATES = load_templates()
EVENING = datetime(2024, 2, 13, 18, 0, tzinfo=samples.PARIS)
HOSTILE = "</script><script>alert(1)</script><svg onload=alert(1)>\"'\u202e{{ 7*7 }}"


def a_board(*rows: listing.ApplicationRow) -> Board:
    offers = (samples.OFFER, samples.OTHER_OFFER)
    return Board("Villes au Carré", EVENING, listing.offer_states(offers, rows, date(2024, 2, 13)), rows)


def page(*rows: listing.ApplicationRow) -> str:
    return render_board(a_board(*rows), TEMPLATES).decode()


def a_row(**changes: object) -> listing.ApplicationRow:
    (row,) = samples.application_rows(1)
    return dataclasses.replace(row, **changes)


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    found = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.append((tag, dict(attrs)))

    Tags().feed(text)
    return found


def test_the_policy_names_the_one_script_and_the_one_style_and_forbids_the_rest():
    text = page(*samples.application_rows(3))
    policy = next(
        attributes["content"]
        for tag, attributes in tags(text)
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)

    for source in (script, style):
        assert "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_no_element_has_an_inline_style_or_handler_or_loads_anything():
    for tag, attributes in tags(page(*samples.application_rows(40))):
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag not in {"img", "link", "iframe", "object", "base"}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith(("#", "./"))


def hostile_rows() -> tuple[listing.ApplicationRow, ...]:
    return (
        a_row(
            number=1,
            name=HOSTILE,
            address=HOSTILE,
            notes=(HOSTILE,),
            reply=ReplyState.NONE,
            reply_at=None,
            reply_reason=HOSTILE,
            pieces=(
                FiledPiece("other", "read", HOSTILE, f"x/{HOSTILE}"),
                FiledPiece("cv", "read", "javascript:alert(1)", "javascript:alert(1)"),
            ),
            folder=f"x/{HOSTILE}",
        ),
        a_row(number=2, offer=HOSTILE),
    )


def test_nothing_hostile_becomes_markup():
    text = page(*hostile_rows())
    usual = {tag for tag, _ in tags(page(*samples.application_rows(3)))}

    assert {tag for tag, _ in tags(text)} <= usual
    assert text.count("<script>") == 1
    assert "\u202e" not in text
    assert "{{ 7*7 }}" in text
    assert "javascript:" not in {(attributes.get("href") or "")[:11] for _, attributes in tags(text)}


@settings(max_examples=40)
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_changes_the_structure_of_the_page(name, file):
    row = a_row(name=name, notes=(file,), pieces=(FiledPiece("other", "read", file, f"f/{file}"),), folder="f")
    plain = a_row(name="x", notes=("x",), pieces=(FiledPiece("other", "read", "x", "f/x"),), folder="f")

    assert [tag for tag, _ in tags(page(row))] == [tag for tag, _ in tags(page(plain))] or "/" in file


@pytest.mark.parametrize(
    ("path", "link"),
    [
        ("poste/2024_DUPONT/CV.pdf", "./poste/2024_DUPONT/CV.pdf"),
        ("poste/Lettre & CV #1?.pdf", "./poste/Lettre%20%26%20CV%20%231%3F.pdf"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("é\udc80", "./%C3%A9%3F"),
        ("/etc/passwd", None),
        ("../x", None),
        ("a/../../x", None),
        (None, None),
    ],
)
def test_links_are_relative_and_stay_in_the_archive(path, link):
    assert relative_link(path) == link


def test_an_empty_board_says_so():
    text = page()

    assert "Aucune candidature pour le moment" in text
    assert "<table" not in text


def test_without_a_script_every_row_is_there():
    text = page(*samples.application_rows(300))

    assert text.count('scope="row">') == 300
    assert '<tr role="row" data-number="1" ' in text


def test_the_same_rows_give_the_same_octets():
    rows = samples.application_rows(20)

    assert page(*rows) == page(*rows)


def test_closed_offers_are_folded_away():
    whole = dict(samples.board_samples())["full"]
    text = render_board(whole, TEMPLATES).decode()

    assert "<details><summary>Offres closes (1)</summary>" in text
    assert "close depuis 74 jours" in text


def test_an_application_without_files_says_what_is_missing():
    text = page(a_row(pieces=(), missing=("cv", "letter"), folder=None))

    assert "manque&nbsp;: CV et lettre" in text


@pytest.mark.parametrize(("count", "words"), [(0, "0 candidature"), (1, "1 candidature"), (2000, "2 000 candidatures")])
def test_the_total_is_said_in_french(count, words):
    text = page(*samples.application_rows(count))
    tile = re.search(r'<li class="all">(.*?)</li>', text).group(1)

    assert re.sub(r"<[^>]+>", "", tile).replace("\xa0", " ") == words


def test_the_year_is_said_when_it_is_another_one():
    text = page(a_row(received_at=datetime(2023, 12, 31, 9, 5, tzinfo=samples.PARIS)), a_row())

    assert "31 décembre 2023, 9\xa0h\xa005" in text
    assert "13 février, 9\xa0h\xa013" in text
