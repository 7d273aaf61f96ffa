"""The digest: what it says, in which order, equally in text and HTML, and what a stranger cannot do to it."""

from __future__ import annotations

import dataclasses
import re
from datetime import date, datetime, timedelta
from email import policy
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inbox_agent import digest, listing, samples
from inbox_agent.application import Status, Timing
from inbox_agent.decide import COMPLETE_FOLDER, DOUBT_FOLDER, INCOMPLETE_FOLDER, LATE_FOLDER
from inbox_agent.digest import Balance, Digest, Doubt, Enquiry, Health, LikelyAnswer, Unanswered
from inbox_agent.listing import ApplicationRow, FiledPiece
from inbox_agent.message import Address
from inbox_agent.templates import load_templates
from inbox_agent.wording import spark, visible

TEMPLATES = load_templates()
DAYS = dict(samples.digest_samples())
FULL = DAYS["full"]
EVENING = datetime(2024, 2, 13, 18, 0, tzinfo=samples.PARIS)
WELL = Health(EVENING, Balance(10, 4, 5, 1, 0, 0))
HOSTILE = "<img src=x onerror=alert(1)>\"'</td><base href=//evil.example>\u202egpj.exe{{ 7*7 }}"


class Seen(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.hidden = False

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.hidden = tag in {"style", "title"}

    def handle_endtag(self, tag):  # noqa: ARG002, the library's signature.
        self.hidden = False

    def handle_data(self, data):
        if not self.hidden:
            self.text += data


def seen(page: str) -> Seen:
    parser = Seen()
    parser.feed(page)
    return parser


def words(text: str) -> str:
    return " ".join(text.split())


def a_row(**changes: object) -> ApplicationRow:
    (row,) = samples.application_rows(1)
    return dataclasses.replace(row, **changes)


def a_day(**changes: object) -> Digest:
    return Digest(
        **{
            "day": date(2024, 2, 13),
            "organisation": "Villes au Carré",
            "generated_at": EVENING,
            "health": WELL,
            **changes,
        }
    )


def hostile_day() -> Digest:
    row = a_row(
        name=HOSTILE,
        address=HOSTILE,
        notes=(HOSTILE,),
        pieces=(FiledPiece("other", "read", HOSTILE, f"x/{HOSTILE}"),),
        folder=f"x/{HOSTILE}",
    )
    doubt = Doubt(12, HOSTILE, HOSTILE, EVENING, HOSTILE, (LikelyAnswer("oui 12", HOSTILE),))
    return dataclasses.replace(
        FULL,
        organisation=HOSTILE,
        doubts=(doubt,),
        new=(row,),
        unanswered=(Unanswered(1, HOSTILE, HOSTILE),),
        offers=(dataclasses.replace(FULL.offers[0], title=HOSTILE),),
        enquiries=(Enquiry(EVENING, HOSTILE),),
    )


def rendered(view: Digest):
    return digest.render_digest(
        view,
        TEMPLATES,
        message_id="<digest.2024-02-13@villesaucarre.org>",
        sent_at=EVENING,
        sender=Address("Candidatures", "candidatures@villesaucarre.org"),
        recipient="direction@villesaucarre.org",
        list_id="candidatures.villesaucarre.org",
    )


def test_the_subject_says_it_all():
    day = a_day(new=(a_row(), a_row(), a_row()), doubts=FULL.doubts[:1])

    assert digest.subject(day).replace("\xa0", " ") == "Candidatures du mardi 13 février : 3 nouvelles, 1 à vérifier"
    assert digest.subject(a_day(new=(a_row(),))).replace("\xa0", " ").endswith(": 1 nouvelle")


def test_an_empty_day_still_says_that_the_agent_lives():
    day = a_day()

    assert digest.subject(day).endswith("rien de nouveau")
    for text in (digest.text(day, TEMPLATES), seen(digest.html(day, TEMPLATES)).text):
        assert "Rien de nouveau\xa0: aucun message n’attend" in words(text).replace("nouveau :", "nouveau\xa0:")
        assert "Dernière relève réussie le 13 février à 18\xa0h\xa000" in text.replace("\n", " ")


@pytest.mark.parametrize(
    "health",
    [
        Health(None, WELL.balance),
        Health(EVENING, Balance(10, 4, 5, 0, 0, 0)),
        Health(EVENING, WELL.balance, ("Le disque est presque plein.",)),
    ],
)
def test_an_agent_that_is_unwell_never_says_that_nothing_happened(health):
    day = a_day(health=health)

    assert not day.empty
    assert digest.subject(day).endswith("relève à contrôler")
    assert "LA RELÈVE DEMANDE UN CONTRÔLE" in digest.text(day, TEMPLATES)
    assert "Rien de nouveau" not in digest.html(day, TEMPLATES)


def test_it_is_one_mail_with_equal_parts_and_the_headers_of_a_notice():
    message = BytesParser(policy=policy.default).parsebytes(rendered(FULL).octets)

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert message["List-Id"] == "<candidatures.villesaucarre.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert message["Subject"] == digest.subject(FULL).replace("\xa0", " ")
    assert rendered(FULL).octets.isascii()


def test_what_a_person_must_do_comes_first():
    text = digest.text(FULL, TEMPLATES)
    headings = [line for line in text.splitlines() if line.isupper() and not line.startswith((" ", "–"))]

    assert [heading.partition(" (")[0] for heading in headings] == [
        "À VÉRIFIER",
        "RÉPONSES À CONTRÔLER",
        "MESSAGES IMPOSSIBLES À LIRE",
        "BROUILLONS À RELIRE ET À ENVOYER",
        "NOUVELLES CANDIDATURES",
        "COMPLÉMENTS REÇUS",
        "QUESTIONS À TRAITER",
        "RETRAITS",
        "SANS RÉPONSE, ET POURQUOI",
        "VOS CORRECTIONS PRISES EN COMPTE",
        "OÙ EN SONT LES OFFRES",
        "SUPPRESSIONS PRÉVUES",
        "L’AGENT",
    ]


@pytest.mark.parametrize("day", DAYS.values(), ids=DAYS)
def test_text_and_html_have_the_same_sections_and_names(day):
    text = words(digest.text(day, TEMPLATES)).lower()
    page = seen(digest.html(day, TEMPLATES)).text
    headings = re.findall(r"<h2[^>]*>([^<]+?) ?<", digest.html(day, TEMPLATES))

    assert all(heading.strip().lower() in text for heading in headings)
    for row in day.new:
        assert row.name.lower() in text
        assert row.name in page
    for doubt in day.doubts:
        assert doubt.reason.lower() in text
        assert words(doubt.reason) in words(page)


@pytest.mark.parametrize("day", [*DAYS.values(), hostile_day()], ids=[*DAYS, "hostile"])
def test_the_text_has_no_line_over_72_columns_but_a_link(day):
    for line in digest.text(day, TEMPLATES).splitlines():
        assert len(line) <= 72 or len(line.split()) == 1, line


def test_a_doubt_names_the_person_and_offers_its_answers():
    text = words(digest.text(FULL, TEMPLATES))

    assert "N° 12 – Thi-Hà Nguyễn <thiha.nguyen@example.org>" in text.replace("\xa0", " ")
    assert "→ oui 12" in text.replace("\xa0", " ")
    assert "«&nbsp;oui 12&nbsp;»" in digest.html(FULL, TEMPLATES)


def test_an_enquiry_shows_its_time_and_offer_and_nothing_else():
    assert [field.name for field in dataclasses.fields(Enquiry)] == ["received_at", "offer_title"]


@pytest.mark.parametrize(
    ("archive", "shown", "linked"),
    [
        ("https://nuage.example.org/Candidatures/", "https://nuage.example.org/Candidatures/poste/2024_DUPONT", True),
        (r"\\nas\Candidatures", r"\\nas\Candidatures\poste\2024_DUPONT", False),
        ("/srv/candidatures", "/srv/candidatures/poste/2024_DUPONT", False),
        (None, "poste/2024_DUPONT", False),
    ],
)
def test_folders_are_shown_as_staff_reach_them(archive, shown, linked):
    day = a_day(new=(a_row(folder="poste/2024_DUPONT"),), archive=archive)
    page = seen(digest.html(day, TEMPLATES))

    assert shown in digest.text(day, TEMPLATES)
    assert any(attributes.get("href") == shown for _, attributes in page.tags) is linked
    assert linked or shown in page.text


def test_an_archive_prefix_of_another_scheme_is_never_a_link():
    assert listing.web_link("javascript:alert(1)//", "x") is None


def test_a_flood_is_capped_and_counted():
    rows = samples.application_rows(2000)
    day = a_day(new=rows, offers=listing.offer_states((samples.OFFER,), rows, date(2024, 2, 13)))
    page = digest.html(day, TEMPLATES)

    assert page.count("Ouvrir le dossier") == 0
    assert len(page) < 400_000
    assert re.search(r"… et [\d\xa0]+ de plus", page)
    assert "2\xa0000\xa0nouvelles" in digest.subject(day)


def test_nothing_hostile_becomes_markup_link_or_remote_content():
    page = seen(digest.html(hostile_day(), TEMPLATES))
    usual = seen(digest.html(FULL, TEMPLATES))

    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in usual.tags}
    assert not {"img", "base", "script", "link", "iframe"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name == "src" for name in attributes)
        link = attributes.get("href") or "mailto:candidatures@"
        assert link.startswith(("mailto:candidatures@", "https://partage.example.org/"))
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_direction_changes_are_made_visible():
    for text in (digest.html(hostile_day(), TEMPLATES), digest.text(hostile_day(), TEMPLATES)):
        assert "\u202e" not in text
        assert "‹U+202E›" in text


@given(st.text(max_size=300))
def test_any_name_is_one_visible_line_of_bounded_length(name):
    shown = visible(name)

    assert len(shown) <= 120
    assert shown == shown.strip()
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]", shown)


def test_long_names_keep_their_end():
    assert visible("a" * 300 + ".exe", 40) == "a" * 26 + "…" + "a" * 9 + ".exe"


def test_the_chart_covers_fourteen_days_up_to_the_day():
    rows = (
        a_row(offer="x", received_at=EVENING - timedelta(days=13)),
        a_row(offer="x"),
        a_row(offer="x", received_at=EVENING - timedelta(days=20)),
    )
    (state,) = listing.offer_states((), rows, date(2024, 2, 13))
    columns = digest.chart(state, date(2024, 2, 13))

    assert len(columns) == 14
    assert [number for _, number in columns] == [1, *[0] * 12, 1]
    assert spark(columns) == "█············█"


def test_offers_count_each_application_once():
    rows = (
        a_row(offer="x", status=Status.COMPLETE, timing=Timing.ON_TIME),
        a_row(offer="x", status=Status.COMPLETE, timing=Timing.LATE),
        a_row(offer="x", status=Status.INCOMPLETE, timing=Timing.BOUNDARY),
        a_row(offer="x", status=Status.DOUBT),
        a_row(offer="x", withdrawn=True),
        a_row(offer=None),
    )
    one, spontaneous = listing.offer_states((), rows, date(2024, 2, 13))

    assert (one.total, one.complete, one.late, one.incomplete, one.doubt, one.withdrawn) == (5, 1, 1, 1, 1, 1)
    assert (spontaneous.title, spontaneous.total) == ("Candidatures spontanées", 1)


@pytest.mark.parametrize(
    ("left", "words_"),
    [
        (None, "sans date limite"),
        (0, "date limite aujourd’hui"),
        (1, "encore 1 jour"),
        (9, "encore 9 jours"),
        (-1, "close depuis hier"),
        (-3, "close depuis 3 jours"),
    ],
)
def test_the_days_left_are_said_in_words(left, words_):
    assert listing.days_left_words(dataclasses.replace(FULL.offers[0], days_left=left)) == words_


def test_an_offer_long_closed_leaves_the_digest():
    old = dataclasses.replace(FULL.offers[0], title="Offre ancienne", days_left=-31)
    recent = dataclasses.replace(FULL.offers[0], title="Offre récente", days_left=-30)
    text = digest.text(a_day(offers=(old, recent)), TEMPLATES)

    assert "Offre récente" in text
    assert "Offre ancienne" not in text


def test_the_day_is_said_when_an_application_came_on_another_one():
    text = digest.text(a_day(new=(a_row(received_at=EVENING - timedelta(hours=20)),)), TEMPLATES)

    assert "12 février à 22 h 00" in text.replace("\xa0", " ")


def test_pieces_are_said_in_words():
    row = a_row(
        pieces=(
            FiledPiece("cv", "scanned", "CV.pdf"),
            FiledPiece("letter", "locked", "LM.pdf"),
            FiledPiece("other", "read", "a"),
            FiledPiece("other", "read", "b"),
        )
    )

    assert listing.pieces_words(row) == "CV (image), lettre (mot de passe) et 2 autres documents"
    assert listing.pieces_words(a_row(pieces=())) == "aucun document"


def test_the_balance_must_add_up():
    assert Balance(10, 4, 3, 1, 1, 1).holds
    assert not Balance(11, 4, 3, 1, 1, 1).holds


def test_the_guide_shows_pictures_that_exist_and_words_that_staff_meet():
    docs = Path(__file__).parent.parent / "docs"
    guide = (docs / "guide-equipe.md").read_text(encoding="utf-8")

    for picture in re.findall(r"images/[a-z-]+\.png", guide):
        assert (docs / picture).is_file(), picture
    for word in ("Brouillons à relire et à envoyer", "Réponses à contrôler", "Messages impossibles à lire"):
        assert word in guide
        assert word in digest.html(FULL, TEMPLATES)
    for word in listing.STATE_WORDS.values():
        assert word in guide
    for word in (DOUBT_FOLDER, COMPLETE_FOLDER, INCOMPLETE_FOLDER, LATE_FOLDER):
        assert word in guide
