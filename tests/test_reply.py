"""The replies: their words (golden files, read by a person), their headers, and what no stranger can do to them."""

from __future__ import annotations

import dataclasses
import os
import re
from datetime import datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inbox_agent import reply as reply_module
from inbox_agent import samples
from inbox_agent.application import Candidate, Document, DocumentKind, DocumentState, Where
from inbox_agent.decision import Reply, ReplyMode, ReplyTemplate
from inbox_agent.errors import ConfigError
from inbox_agent.message import Address
from inbox_agent.offer import Offer
from inbox_agent.outgoing import Outgoing, clean_header, compose, is_addr_spec, is_message_id, thread_headers
from inbox_agent.reply import render, render_text, reply_view, salutation, services, shown_file
from inbox_agent.reply_subject import reply_subject
from inbox_agent.templates import load_templates
from jinja2 import Environment

GOLDEN = Path(__file__).parent / "golden" / "replies"
TEMPLATES = load_templates()
AT = datetime(2024, 2, 13, 9, 22, 1, tzinfo=ZoneInfo("Europe/Paris"))
SENDER = Address("Villes au Carré", "contact@villesaucarre.org")
SITUATIONS = [
    (language, name, template, view)
    for language in ("fr", "en")
    for name, template, view in samples.reply_samples(language)
]


def a_reply(**changes: object) -> Reply:
    fields = {
        "template": ReplyTemplate.COMPLETE,
        "to": "jeanne.dupont@example.org",
        "subject": "Re: Candidature au poste de chargée de mission",
        "language": "fr",
        "in_reply_to": "<candidature@example.org>",
        "references": ("<earlier@example.org>",),
        "mode": ReplyMode.SEND,
    }
    return Reply(**{**fields, **changes})


def rendered(**changes: object) -> Outgoing:
    _, _, _, view = SITUATIONS[0]
    return render(
        a_reply(**changes),
        view,
        TEMPLATES,
        message_id="<complete.0123@villesaucarre.org>",
        sent_at=AT,
        sender=SENDER,
        reference="0123",
    )


def parsed(octets: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(octets)
    assert isinstance(message, EmailMessage)
    return message


def a_view(*documents: Document, name: str = "Jeanne Dupont", links: tuple[str, ...] = (), **facts: object):
    return reply_view(
        organisation=samples.ORGANISATION,
        candidate=Candidate(name, "", "", None),
        offer=facts.get("offer", samples.OFFER),
        language="fr",
        received_at=facts.get("received_at", AT),
        timing=None,
        documents=documents,
        missing=facts.get("missing", ()),
        links=links,
    )


def a_document(name: str, kind: str = "cv", state: str = "read", **more: object) -> Document:
    return Document(
        name,
        DocumentKind(kind),
        more.get("where", Where.ATTACHMENT),
        DocumentState(state),
        1,
        "2",
        more.get("media_type", "application/pdf"),
        more.get("size", 90_000),
        "0" * 64,
    )


@pytest.mark.parametrize(
    ("language", "name", "template", "view"), SITUATIONS, ids=lambda it: it if isinstance(it, str) else ""
)
def test_each_situation_says_what_its_golden_file_says(language, name, template, view):
    path = GOLDEN / f"{language}-{name}.txt"
    text = "".join(
        line.rstrip(" ") + "\n" if line != "-- " else "-- \n"
        for line in render_text(template, view, TEMPLATES).splitlines()
    )
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")

    assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("language", "name", "template", "view"), SITUATIONS, ids=lambda it: it if isinstance(it, str) else ""
)
def test_no_line_is_wider_than_72_columns(language, name, template, view):
    assert max(len(line) for line in render_text(template, view, TEMPLATES).splitlines()) <= 72


def test_every_golden_file_belongs_to_a_situation():
    names = {f"{language}-{name}.txt" for language, name, _, _ in SITUATIONS}

    assert {path.name for path in GOLDEN.glob("*.txt")} == names


@pytest.mark.parametrize(
    "forbidden",
    ["Madame", "Monsieur", "robot", "refus", "malheureusement", "regret", "unfortunately", "e-mail automatique"],
)
def test_no_reply_guesses_a_gender_refuses_or_speaks_as_a_robot(forbidden):
    for _, _, template, view in SITUATIONS:
        assert forbidden.lower() not in render_text(template, view, TEMPLATES).lower()


def test_french_punctuation_is_held_by_unbreakable_spaces():
    for language, _, template, view in SITUATIONS:
        text = render_text(template, view, TEMPLATES)
        if language == "fr":
            assert not re.search(r" [:;?!»]|« |'", text)


def test_headers_are_those_of_an_automatic_reply():
    message = parsed(rendered().octets)

    assert [(name, str(value)) for name, value in message.items()][:10] == [
        ("From", "Villes au Carré <contact@villesaucarre.org>"),
        ("To", "jeanne.dupont@example.org"),
        ("Subject", "Re: Candidature au poste de chargée de mission"),
        ("Date", "Tue, 13 Feb 2024 09:22:01 +0100"),
        ("Message-ID", "<complete.0123@villesaucarre.org>"),
        ("In-Reply-To", "<candidature@example.org>"),
        ("References", "<earlier@example.org> <candidature@example.org>"),
        ("Auto-Submitted", "auto-replied"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Inbox-Agent-Ref", "0123"),
    ]
    assert message.get_content_type() == "text/plain"
    assert message["Content-Type"].params == {"charset": "utf-8", "format": "flowed"}


def test_octets_are_seven_bit_with_crlf_and_short_lines():
    octets = rendered().octets

    assert octets.isascii()
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert max(len(line) for line in octets.split(b"\r\n")) <= 78


def test_flowed_text_read_as_rfc_3676_gives_whole_paragraphs():
    text = parsed(rendered().octets).get_content()
    paragraphs, joined = [], ""
    for line in text.split("\r\n"):
        joined += line.removeprefix(" ")
        if line == "-- " or not line.endswith(" "):
            paragraphs.append(joined)
            joined = ""

    assert any(
        line.startswith("Nous avons bien reçu") and line.endswith("que vous nous portez.") for line in paragraphs
    )


def test_reply_to_appears_only_when_it_is_configured():
    out = render(
        a_reply(),
        SITUATIONS[0][3],
        TEMPLATES,
        message_id="<x@y.org>",
        sent_at=AT,
        sender=SENDER,
        reference="1",
        envelope_from="retours@villesaucarre.org",
        reply_to=Address("Hélène Dugué", "helene.dugue@villesaucarre.org"),
    )

    assert parsed(out.octets)["Reply-To"] == "Hélène Dugué <helene.dugue@villesaucarre.org>"
    assert "Reply-To" not in parsed(rendered().octets)
    assert out.envelope_from == "retours@villesaucarre.org"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Candidature", "Re: Candidature"),
        ("Re: Candidature", "Re: Candidature"),
        ("RE : Re: TR: Fwd: Candidature", "Re: Candidature"),
        ("Re[2]: RÉP: Candidature", "Re: Candidature"),
        ("AW: WG: Bewerbung", "Re: Bewerbung"),
        ("Réf: 2024-12 candidature", "Re: Réf: 2024-12 candidature"),
        ("Recrutement : candidature", "Re: Recrutement : candidature"),
        ("Candidature re: poste", "Re: Candidature re: poste"),
        ("", "Re: votre candidature"),
        ("Re:", "Re: votre candidature"),
        ("Candidature\r\nBcc: victim@example.org", "Re: Candidature Bcc: victim@example.org"),
    ],
)
def test_re_does_not_pile_up(subject, expected):
    assert reply_subject(subject, "fr") == expected


def test_an_empty_subject_of_an_english_candidate_is_answered_in_english():
    assert reply_subject(" ", "en") == "Re: your application"


@pytest.mark.parametrize(
    "name",
    [
        "Jeanne Dupont",
        "Jean-Baptiste d’Ormesson",
        "Nguyễn Thị Hà",
        "N. Traoré",
        "O'Connor",
        "Łukasz Żak",
        "李 小龙",
        "Maria do Carmo de Sousa e Silva",
        "J.R. Ewing",
    ],
)
def test_a_name_is_greeted(name):
    assert salutation(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "jeanne@example.org",
        "Gagnez 1000 euros",
        "www.example",
        "Visitez example.com",
        "http://x",
        "a" * 61,
        "un deux trois quatre cinq six sept huit neuf",
        "Dupont\u202egpj",
        "<b>Dupont</b>",
        "...",
        "Cliquez ici !",
    ],
)
def test_what_does_not_look_like_a_name_is_not_greeted(name):
    assert salutation(name) is None
    assert "Bonjour,\n" in render_text("complete", a_view(a_document("CV.pdf"), name=name), TEMPLATES)


def test_a_strangers_link_is_never_repeated():
    view = a_view(
        links=("https://wetransfer.com.evil.example/x", "https://we.tl/t-abc", "http://drive.google.com@evil.example/"),
        missing=("cv",),
    )
    text = render_text("incomplete", view, TEMPLATES)

    assert view.services == ("", "WeTransfer")
    assert "evil" not in text
    assert "t-abc" not in text
    assert "(WeTransfer)" in text


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("https://drive.google.com/file/d/1", "Google Drive"),
        ("acme.sharepoint.com/x", "OneDrive"),
        ("https://WE.TL:443/x", "WeTransfer"),
        ("ftp://nowhere.example", ""),
    ],
)
def test_sharing_services_are_named_by_their_host(link, name):
    assert services((link,)) == (name,)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("CV Jeanne.pdf", "CV Jeanne.pdf"),
        ("https://evil.example/CV.pdf", "evil.example_CV.pdf"),
        ("www.evil.example.pdf", "evil.example.pdf"),
        ("a\r\nBcc: x.pdf", "a Bcc_ x.pdf"),
        ("CV\u202efdp.exe", "CV‹U+202E›fdp.exe"),
        ("", "sans nom"),
        ("é" * 200 + ".pdf", "é" * 43 + "…" + "é" * 12 + ".pdf"),
    ],
)
def test_file_names_are_made_harmless(name, shown):
    assert shown_file(name) == shown


def test_a_file_name_that_looks_like_a_template_is_written_as_it_is():
    text = render_text("complete", a_view(a_document("{{ 7*7 }}{% raw %}.pdf")), TEMPLATES)

    assert "{{ 7*7 }}{% raw %}.pdf" in text


def test_the_logo_of_a_mail_signature_is_not_listed():
    logo = a_document("image001.png", "other", media_type="image/png", size=4_000)
    photo = a_document("diplome.jpg", "other", media_type="image/jpeg", size=400_000)

    assert [piece.file for piece in a_view(logo, photo).received] == ["diplome.jpg"]


def test_a_locked_cv_is_asked_for_once_and_not_called_missing():
    view = a_view(a_document("CV.pdf", "cv", "locked"), missing=("cv",))
    text = " ".join(render_text("incomplete", view, TEMPLATES).split())

    assert "Le fichier «\xa0CV.pdf\xa0» (votre CV) est protégé par un mot de passe" in render_text(
        "incomplete", view, TEMPLATES
    ).replace(" \n", " ")
    assert "nous n’avons pas trouvé" not in text
    assert "sans mot de passe" in text


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "avant le 15 février 2024 ?"),
        (1, "avant le 15 février 2024 ?"),
        (2, "dès que possible ?"),
        (9, "dès que possible ?"),
    ],
)
def test_no_deadline_is_named_once_it_is_there(days, words):
    view = a_view(a_document("CV.pdf"), missing=("letter",), received_at=AT + timedelta(days=days))

    assert words in " ".join(render_text("incomplete", view, TEMPLATES).split())


def test_the_night_is_judged_in_the_offers_zone():
    utc = datetime(2024, 2, 14, 23, 30, tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo("Europe/Paris"))

    assert a_view(missing=("cv",), received_at=utc).until is None


def test_an_offer_without_deadline_names_no_day():
    offer = Offer("x", "Poste", ("a@b.org",))
    text = render_text("incomplete", a_view(missing=("cv",), offer=offer), TEMPLATES)

    assert "en répondant à ce message ?" in " ".join(text.split())


# --- What no stranger can do -----------------------------------------------------------------------------------

LINES = st.text(max_size=400) | st.text('\r\n\x00\x85\u2028=?utf-8QqBb_ éa:<>@"\\,;()', max_size=80)


@given(subject=LINES, name=LINES)
@example("=?utf-8?Q?Candidature=0ABcc:_victim=40example.org=0A?=", "x")
@example("Candidature\nBcc: victim@example.org", "Dupont\r\nBcc: x@example.org")
@example("Re: " + "a" * 300, '"')
@example("é " * 100, "Dupont, Jeanne (née Martin) \\")
def test_no_text_adds_changes_or_breaks_a_header(subject, name):
    shown = reply_subject(subject, "fr")
    octets = compose(
        [("From", Address(name, "a@b.org")), ("To", Address("", "c@d.org")), ("Subject", shown)], text="x\n"
    )
    message = parsed(octets)

    assert message["Subject"] == shown
    assert len(message["From"].addresses) == len(message["To"].addresses) == 1
    assert message["From"].addresses[0].display_name.replace(" ", "") == clean_header(name, 100).replace(" ", "")
    assert [field.lower() for field in message] == [
        "from",
        "to",
        "subject",
        "content-type",
        "content-transfer-encoding",
        "mime-version",
    ]


@given(in_reply_to=LINES | st.none(), references=st.lists(LINES | st.just("<ok@example.org>"), max_size=40))
@example("<" + "a" * 248 + ">", ["<" + "b" * 249 + ">"])
@example("<a@b> <c@d>", ["<a b@c>"])
@example("<a@b>\r\nBcc: <x@y>", [])
def test_only_sound_identifiers_are_threaded(in_reply_to, references):
    fields = thread_headers(in_reply_to, references)
    octets = compose([("From", SENDER), ("To", Address("", "c@d.org")), *fields], text="x\n")

    for name, value in fields:
        assert all(is_message_id(token) for token in value.split())
        assert parsed(octets)[name] == value
    assert octets.isascii()


def test_a_long_thread_keeps_its_first_and_its_latest_messages():
    chain = [f"<{number}@example.org>" for number in range(100)]
    fields = dict(thread_headers("<99@example.org>", chain))

    assert fields["References"].split() == [chain[0], *chain[81:]]


def test_a_long_identifier_is_not_encoded():
    long = "<" + "a" * 120 + "@" + "b" * 120 + ">"

    assert f"In-Reply-To: {long}\r\n".encode() in rendered(in_reply_to=long).octets


@pytest.mark.parametrize(
    "to",
    [
        "",
        "a",
        "a@b\r\nBcc: c@d",
        "a@b,c@d",
        "a b@c.org",
        "<a@b.org>",
        "é@example.org",
        '"a"@b.org',
        "a@" + "b" * 260,
        "a@b..org",
    ],
)
def test_an_address_that_cannot_be_written_is_refused(to):
    assert not is_addr_spec(to)
    with pytest.raises(ValueError, match="cannot be written"):
        rendered(to=to)


@given(name=LINES, file=LINES)
def test_no_name_breaks_a_reply(name, file):
    view = a_view(a_document(file), a_document(file, "other", "locked"), name=name, missing=("letter",))
    text = render_text("incomplete", view, TEMPLATES)

    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]", text)
    assert "\n\n-- \nVos données personnelles" in text
    assert max(len(line) for line in text.splitlines()) <= 72
    compose([("From", SENDER), ("To", Address("", "a@b.org"))], text=text, flowed=True)


@given(text=st.text("a é=.\t’\u2028\n\r😀", min_size=1, max_size=300), flowed=st.booleans())
def test_a_text_is_read_back_as_it_was_written(text, flowed):
    octets = compose([("From", SENDER), ("To", Address("", "a@b.org"))], text=text, flowed=flowed)

    lines = b"\r\n".join([*text.encode().splitlines(), b""]).decode()
    assert parsed(octets).get_content() == lines
    assert octets.isascii()
    assert all(len(line) <= 76 and not line.endswith((b" ", b"\t")) for line in octets.split(b"\r\n"))


def test_the_octets_are_compared_with_what_was_meant(monkeypatch):
    from inbox_agent import outgoing  # noqa: PLC0415, replaced in part.

    monkeypatch.setattr(outgoing, "_unstructured", lambda _name, _value: "x\r\nBcc: victim@example.org")

    with pytest.raises(outgoing.HeaderMismatchError, match="Bcc"):
        rendered(subject="Re: x")


# --- Templates of an organisation's own -------------------------------------------------------------------------


def test_an_organisation_changes_one_file_and_keeps_the_others(tmp_path):
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "_notice.txt.j2").write_text(
        "Mention de {{ organisation.privacy.controller }}.\n", encoding="utf-8"
    )
    templates = load_templates(tmp_path)

    text = render_text("complete", a_view(a_document("CV.pdf")), templates)

    assert text.endswith("-- \nMention de Villes au Carré.\n")
    assert samples.check_templates(tmp_path) == ()


def test_the_shipped_templates_have_no_fault():
    assert samples.check_templates() == ()


def test_an_unknown_variable_is_reported_with_its_file_and_line(tmp_path):
    (tmp_path / "fr").mkdir()
    file = tmp_path / "fr" / "late.txt.j2"
    file.write_text("Bonjour\n{% if timing == 'never' %}\n{{ candidat }}\n{% endif %}\n", encoding="utf-8")

    (fault,) = samples.check_templates(tmp_path)

    assert (fault.file, fault.place, fault.problem) == (str(file), "line 3", 'unknown variable "candidat"')
    assert fault.remedy == 'Did you mean "candidate"?'


def test_an_unknown_attribute_and_a_wrong_filter_are_reported_with_their_line(tmp_path):
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "late.txt.j2").write_text("x\n{{ organisation.nom }}\n", encoding="utf-8")
    (tmp_path / "fr" / "complete.txt.j2").write_text("x\n\n{{ title | day }}\n", encoding="utf-8")

    places = {(Path(fault.file).name, fault.place) for fault in samples.check_templates(tmp_path)}

    assert places == {("late.txt.j2", "line 2"), ("complete.txt.j2", "line 3")}


def test_a_template_that_does_not_compile_is_a_configuration_error(tmp_path):
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "late.txt.j2").write_text("a\n{% if %}\n", encoding="utf-8")

    with pytest.raises(ConfigError) as raised:
        load_templates(tmp_path)

    assert raised.value.faults[0].place == "line 2"
    assert samples.check_templates(tmp_path) == raised.value.faults


def test_every_fault_is_told_at_once_whatever_its_kind(tmp_path):
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "late.txt.j2").write_text("a\n{% if %}\n", encoding="utf-8")
    (tmp_path / "fr" / "complete.txt.j2").write_text("x\n{{ candidat }}\n", encoding="utf-8")
    (tmp_path / "fr" / "incomplete.txt.j2").write_bytes(b"Re\xe7u")
    (tmp_path / "fr" / "withdrawn.txt.j2").write_text("{{ title | day }}", encoding="utf-8")
    (tmp_path / "fr" / "perdue.txt.j2").write_text("", encoding="utf-8")

    places = {(Path(fault.file).name, fault.place) for fault in samples.check_templates(tmp_path)}

    assert places == {
        ("late.txt.j2", "line 2"),
        ("complete.txt.j2", "line 2"),
        ("incomplete.txt.j2", "octet 2"),
        ("withdrawn.txt.j2", "line 1"),
        ("perdue.txt.j2", "file name"),
    }


def test_a_template_cannot_leave_its_sandbox(tmp_path):
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr" / "late.txt.j2").write_text("{{ organisation.__class__.__mro__ }}", encoding="utf-8")

    assert "unsafe" in samples.check_templates(tmp_path)[0].problem


def test_an_offer_keeps_its_own_retention():
    offer = Offer("x", "Poste", ("a@b.org",), retention_months=6)

    assert reply_module.with_retention(samples.ORGANISATION, offer).privacy.retention_months == 6


def test_every_template_variable_and_filter_is_documented():
    page = (Path(__file__).parent.parent / "docs" / "modeles.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+)`", page))
    fields = {field.name for kind in (reply_module.ReplyView, reply_module.Piece) for field in dataclasses.fields(kind)}
    filters = set(TEMPLATES.environment.filters) - set(Environment().filters)  # noqa: S701, nothing is rendered.

    assert fields <= named
    assert {name for name in filters if f"`{name}`" not in page} == set()
    for template in ReplyTemplate:
        assert f"`{template}.txt.j2`" in page
    for name in TEMPLATES.environment.list_templates():
        assert name.startswith("en/") or f"`{name.removeprefix('fr/')}`" in page
