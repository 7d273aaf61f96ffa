"""Octets to Message: every shape that mail comes in, and everything that is no mail."""

from __future__ import annotations

import base64
import hashlib
import time
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inbox_agent.clean import clean_line, clean_text, decode, normal
from inbox_agent.fields import addresses, decode_words, identifiers, moment, parameters, received_moment
from inbox_agent.html_text import html_text
from inbox_agent.message import Address, Message
from inbox_agent.parse import parse
from inbox_agent.second_opinion import second_opinion

import making


def test_a_plain_application_is_read_whole() -> None:
    octets = making.eml(attachments=[("CV été.pdf", making.pdf(["Expérience"]))])
    message = parse(octets)
    assert message.sha256 == hashlib.sha256(octets).hexdigest()
    assert message.size == len(octets)
    assert message.from_ == (Address("Jeanne Dupont", "jeanne.dupont@example.org"),)
    assert [address.addr_spec for address in (*message.to, *message.cc)] == [
        "marienoelle.pinson@villesaucarre.org",
        "helene.dugue@villesaucarre.org",
    ]
    assert message.date is not None
    assert message.date.isoformat() == "2024-02-13T09:22:01+01:00"
    assert message.text.startswith("Bonjour,\n")
    assert [(file.part, file.name, file.disposition) for file in message.attachments] == [
        ("2", "CV été.pdf", "attachment")
    ]
    assert message.attachments[0].octets.startswith(b"%PDF-")
    assert message.defects == ()


# --- Text -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "charset", "text"),
    [
        ("été".encode(), "utf-8", "été"),
        ("été".encode("cp1252"), "iso-8859-1", "été"),
        ("été".encode(), "iso-8859-1", "été"),
        ("été".encode("cp1252"), "utf-8", "été"),
        ("l’été — 35 €".encode("cp1252"), "iso-8859-1", "l’été — 35 €"),
        ("35 €".encode("iso8859-15"), "iso-8859-15", "35 €"),
        ("été".encode(), "zip", "été"),
        ("été".encode(), "unknown-8bit", "été"),
        ("été".encode("utf-16"), "utf-16", "été"),
        (b"\x9d", None, "\ufffd"),
    ],
)
def test_octets_become_text_whatever_the_label_says(octets: bytes, charset: str | None, text: str) -> None:
    assert decode(octets, charset)[0] == text


def test_codecs_that_are_no_charsets_are_never_used() -> None:
    assert decode(base64.b64encode(b"abc"), "base64")[0] == "YWJj"
    assert decode(b"\\x41", "unicode_escape")[0] == "\\x41"


@given(st.text())
def test_clean_text_can_be_stored_and_printed(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert not any(unicodedata.category(character) == "Cc" and character not in "\n\t" for character in cleaned)
    assert "\n" not in clean_line(text)
    assert "\r" not in cleaned


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u0f71\u0f72", "\U0001e8d0\U0001e945"])
def test_a_hundred_thousand_accents_on_one_letter_take_no_time(marks: str) -> None:
    begun = time.process_time()
    clean_text("e" + marks * 200_000)
    assert time.process_time() - begun < 3


def test_decomposed_letters_are_composed() -> None:
    assert clean_text("e\u0301te\u0301\n" * 1000) == "été\n" * 1000


# --- Fields ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?Q?Candidature_=C3=A9t=C3=A9?=", "Candidature été"),
        ("=?UTF-8?B?w6l0w6k=?= CV", "été CV"),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A9t=C3=A9?=", "été"),
        ("=?iso-8859-1?Q?=E9t=E9?=\r\n =?utf-8?q?!?=", "été!"),
        ("=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
        ("=?utf-8*fr?Q?caf=C3=A9?=", "café"),
        ("=?utf-8?Q?deux mots?=", "deux mots"),
        ("=?utf-8?B?w6l0w6?=", "ét\ufffd"),
        ("=?nonsense?Q?abc?=", "abc"),
        ("=?utf-8?Q?a=0ABcc:_victim=40example.org=0A?=", "a Bcc: victim@example.org"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("Re: =?utf-8?Q?=C3=A9?=)", "Re: é)"),
    ],
)
def test_encoded_words_in_every_shape(value: str, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('attachment; filename="CV.pdf"', "CV.pdf"),
        ("attachment; filename*=utf-8''CV%20%C3%A9t%C3%A9.pdf", "CV été.pdf"),
        ("attachment; filename=ete.pdf; filename*=UTF-8''%C3%A9t%C3%A9.pdf", "été.pdf"),
        ("attachment; filename*0*=iso-8859-1''CV%20%E9; filename*1=\"t%E9.pdf\"", "CV ét%E9.pdf"),
        ('attachment; filename*0="CV "; filename*1="Dupont.pdf"', "CV Dupont.pdf"),
        ("attachment; filename*1*=%A9.pdf; filename*0*=utf-8''%C3", "é.pdf"),
        ('attachment; filename="=?utf-8?Q?CV_=C3=A9?=\r\n =?utf-8?Q?t=C3=A9.pdf?="', "CV été.pdf"),
        ("attachment; filename==?utf-8?Q?=C3=A9t=C3=A9.pdf?=", "été.pdf"),
        ("attachment; filename=Mon CV 2024.pdf", "Mon CV 2024.pdf"),
        ('attachment; filename="a;b.pdf"; size=3', "a;b.pdf"),
        ('attachment; filename="CV \\"x\\".pdf"', 'CV "x".pdf'),
        ("attachment; FILENAME = CV.PDF", "CV.PDF"),
        ("attachment; filename*=''a%20b.pdf", "a b.pdf"),
        ('attachment; filename="unclosed.pdf', "unclosed.pdf"),
    ],
)
def test_file_names_in_every_shape(value: str, name: str) -> None:
    assert parameters(value.replace("\r\n", ""))[1]["filename"] == name


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("j@x.fr", [("", "j@x.fr")]),
        ("Jeanne Dupont <J@X.fr>", [("Jeanne Dupont", "j@x.fr")]),
        ("DUPONT, Jeanne <j@x.fr>, b@c.fr", [("DUPONT, Jeanne", "j@x.fr"), ("", "b@c.fr")]),
        ('"Dupont, Jeanne" <j@x.fr>', [("Dupont, Jeanne", "j@x.fr")]),
        ("=?utf-8?q?Dupont=2C_J=C3=A9r=C3=B4me?= <a@b.c>", [("Dupont, Jérôme", "a@b.c")]),
        ("j@x.fr (Jeanne (la) Dupont)", [("Jeanne (la) Dupont", "j@x.fr")]),
        ("Bureau: a@b.c, d@e.f; g@h.i", [("", "a@b.c"), ("", "d@e.f"), ("", "g@h.i")]),
        ("undisclosed-recipients:;", []),
        ("d@x.fr <mailto:d@x.fr>; s@x.fr", [("d@x.fr", "d@x.fr"), ("", "s@x.fr")]),
        ("\"'a@b.fr'\" <a@b.fr>", [("a@b.fr", "a@b.fr")]),
        ("<@r,@s:u@v.w>", [("", "u@v.w")]),
        ("MAILER-DAEMON", [("MAILER-DAEMON", "mailer-daemon")]),
        ("MAILER-DAEMON <>", [("MAILER-DAEMON", "")]),
        ("Marie Dupont", [("Marie Dupont", "")]),
        ('"director@example.org" <x@evil.example>', [("director@example.org", "x@evil.example")]),
        ("a@b.c,,;d@e.f", [("", "a@b.c"), ("", "d@e.f")]),
        ("Jeanne <j@x.fr", [("Jeanne", "j@x.fr")]),
        ("", []),
    ],
)
def test_address_lists_in_every_shape(value: str, found: list[tuple[str, str]]) -> None:
    assert [(address.name, address.addr_spec) for address in addresses(value)] == found


@given(st.text(alphabet=st.sampled_from("aé@<>(),;:\\\"=?utf-8Q_. \t'"), max_size=200))
def test_any_address_list_gives_clean_addresses(value: str) -> None:
    for address in addresses(value):
        assert "\n" not in address.name
        assert " " not in address.addr_spec or "@" not in address.addr_spec or address.addr_spec.count("@") > 1
        assert address.addr_spec == address.addr_spec.lower()


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("Tue, 13 Feb 2024 09:22:01 +0100", "2024-02-13T09:22:01+01:00"),
        ("13 Feb 2024 09:22 GMT", "2024-02-13T09:22:00+00:00"),
        ("Tue, 13 Feb 2024 09:22:01 -0000 (UTC)", "2024-02-13T09:22:01+00:00"),
        ("Tue, 13 Feb 2024 23:59:60 +0000", "2024-02-13T23:59:59+00:00"),
    ],
)
def test_dates(value: str, time: str) -> None:
    found = moment(value)
    assert found is not None
    assert found.isoformat() == time


@pytest.mark.parametrize("value", ["", "demain", "Tue, 13 Feb 99999 09:22:01 +9999", "99 Feb 2024 00:00:00 +0000", "0"])
def test_what_is_no_date_is_none(value: str) -> None:
    assert moment(value) is None


def test_a_received_field_tells_its_time_even_without_a_semicolon() -> None:
    expected = datetime(2024, 2, 13, 8, 22, 1, tzinfo=UTC)
    assert received_moment("from a by b; Tue, 13 Feb 2024 09:22:01 +0100") == expected
    assert received_moment("from a by b id 3 Tue, 13 Feb 2024 09:22:01 +0100 (CET)") == expected


def test_identifiers_keep_their_order_and_are_told_once() -> None:
    assert identifiers("<a@b> <c@d>\r\n <a@b>") == ("<a@b>", "<c@d>")
    assert identifiers("a@b") == ("<a@b>",)
    assert identifiers("your message of Tuesday") == ()


# --- Structure ------------------------------------------------------------------------------------------------


def _mail(content: str, *, head: str = "From: j@x.fr\nSubject: x\n") -> Message:
    return parse((head + content).replace("\n", "\r\n").encode())


def test_the_html_is_read_where_the_plain_text_only_points_to_it() -> None:
    rich = "<p>Je vous adresse ma candidature au poste de chargée de mission, avec mon expérience.</p>" * 2
    octets = making.eml(text="Votre lecteur ne montre pas le HTML.", html=rich)
    assert parse(octets).text == html_text(rich)


def test_plain_text_is_preferred_to_html_and_both_are_kept() -> None:
    message = parse(
        making.eml(text="Bonjour, voici ma candidature.", html="<p>Bonjour, <b>voici</b> ma candidature.</p>")
    )
    assert message.text.strip() == "Bonjour, voici ma candidature."
    assert message.html is not None
    assert "<b>" in message.html


def test_texts_around_an_attachment_are_one_body() -> None:
    message = _mail(
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nBonjour,\n--b\nContent-Type: application/pdf\n\n'
        "%PDF-1.4\n--b\nContent-Type: text/plain\n\nCordialement\n--b--\n"
    )
    assert message.text.split() == ["Bonjour,", "Cordialement"]
    assert [(file.part, file.name) for file in message.attachments] == [("2", None)]


def test_a_document_without_a_name_or_disposition_is_an_attachment() -> None:
    pdf = base64.b64encode(making.pdf(["x"])).decode()
    message = _mail(
        'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nx\n--b\nContent-Type: text/plain\n'
        f"Content-Transfer-Encoding: base64\n\n{pdf}\n--b--\n"
    )
    assert message.attachments[0].octets.startswith(b"%PDF-")
    assert message.text.strip() == "x"


def test_a_truncated_multipart_gives_what_was_there() -> None:
    message = _mail(
        'Content-Type: multipart/mixed; boundary="o"\n\n--o\nContent-Type: multipart/alternative; boundary="i"\n\ntext'
    )
    assert message.defects
    octets = making.eml(attachments=[("CV.pdf", making.pdf(["x"] * 500))])
    assert parse(octets[: len(octets) // 2]).attachments[0].name == "CV.pdf"


def test_an_enclosed_message_keeps_its_own_attachments() -> None:
    inner = making.eml(subject="Candidature", attachments=[("CV.pdf", making.pdf(["x"]))])
    message = parse(making.eml(from_="helene.dugue@villesaucarre.org", subject="TR: Candidature", enclosed=[inner]))
    assert message.attachments == ()
    assert message.enclosed[0].subject == "Candidature"
    assert message.enclosed[0].from_[0].addr_spec == "jeanne.dupont@example.org"
    assert [(file.part, file.name) for file in message.enclosed[0].attachments] == [("2.2", "CV.pdf")]


@pytest.mark.parametrize("encoding", ["base64", "7bit"])
def test_an_enclosed_message_is_read_even_in_forbidden_base64(encoding: str) -> None:
    inner = making.eml(subject="Dedans")
    body = base64.encodebytes(inner).decode() if encoding == "base64" else inner.decode()
    message = _mail(
        f'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: message/rfc822\n'
        f"Content-Transfer-Encoding: {encoding}\n\n{body}\n--b--\n"
    )
    assert [enclosed.subject for enclosed in message.enclosed] == ["Dedans"]


def test_a_mail_attached_as_a_file_is_an_enclosed_message() -> None:
    message = parse(making.eml(attachments=[("Candidature.eml", making.eml(subject="Dedans"))]))
    assert [enclosed.subject for enclosed in message.enclosed] == ["Dedans"]
    assert message.attachments == ()


@pytest.mark.parametrize(
    "headers", [None, "From: Jeanne Dupont <jeanne.dupont@example.org>\r\nSubject: Candidature\r\n"]
)
def test_an_outlook_message_attached_as_a_file_is_an_enclosed_message(headers: str | None) -> None:
    pdf = making.pdf(["x"])
    octets = making.outlook_message(headers=headers, attachments=[("CV été.pdf", pdf.ljust(5000))])
    message = parse(making.eml(subject="TR", attachments=[("Candidature.msg", octets)]))
    assert message.attachments == ()
    (inner,) = message.enclosed
    assert inner.subject == "Candidature"
    assert inner.from_ == (Address("Jeanne Dupont", "jeanne.dupont@example.org"),)
    assert inner.text.rstrip("\x00 ").startswith("Bonjour, voici ma candidature.")
    assert [(file.name, file.octets) for file in inner.attachments] == [("CV été.pdf", pdf.ljust(5000))]


def test_a_second_reader_is_asked_for_a_sender_and_never_raises() -> None:
    assert second_opinion(b"From: a@b.c").from_ == (Address("", "a@b.c"),)
    for section in (b"", b"From: \x00", b"From: " + b"(" * 5000, b"Date: x"):
        assert second_opinion(section).date is None


def test_a_bounce_shows_the_message_that_came_back() -> None:
    message = _mail(
        'Content-Type: multipart/report; boundary="b"; report-type=delivery-status\n\n--b\n\nfailed\n--b\n'
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; j@x.fr\n"
        "Action: failed\n--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: <ours@x>\nSubject: Re\n\n--b--\n"
    )
    assert message.media_type == "multipart/report"
    assert message.enclosed[0].message_id == "<ours@x>"
    assert b"Final-Recipient: rfc822; j@x.fr" in message.attachments[0].octets


def test_signatures_are_no_attachments_and_signed_parts_are_read() -> None:
    message = _mail(
        'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary="b"\n\n--b\n\nBonjour\n--b\n'
        'Content-Type: application/pgp-signature; name="signature.asc"\n\nx\n--b--\n'
    )
    assert message.attachments == ()
    assert message.text == "Bonjour"


def test_an_opaque_smime_message_is_unwrapped() -> None:
    inner = b"Content-Type: text/plain\r\n\r\nBonjour\r\n"

    def element(tag: int, content: bytes) -> bytes:
        return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content

    data = bytes.fromhex("06092a864886f70d010701")
    signed = bytes.fromhex("06092a864886f70d010702")
    content = element(0x30, data + element(0xA0, element(0x04, inner)))
    cms = element(0x30, signed + element(0xA0, element(0x30, b"\x02\x01\x01\x31\x00" + content)))
    message = _mail(
        "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n"
        f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(cms).decode()}"
    )
    assert message.text.strip() == "Bonjour"
    assert message.attachments == ()


def test_a_clear_signed_text_loses_its_armour() -> None:
    message = _mail(
        "\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nBonjour\n- -- \nJeanne\n"
        "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    )
    assert message.text.strip() == "Bonjour\n-- \nJeanne"


def test_a_uuencoded_file_in_the_text_is_an_attachment() -> None:
    import binascii  # noqa: PLC0415 for this test alone

    pdf = making.pdf(["x"])
    lines = "".join(binascii.b2a_uu(pdf[at : at + 45]).decode() for at in range(0, len(pdf), 45))
    message = _mail(f"\nBonjour\nbegin 644 CV.pdf\n{lines}`\nend\nJeanne\n")
    assert [(file.name, file.octets) for file in message.attachments] == [("CV.pdf", pdf)]
    assert message.text.split() == ["Bonjour", "Jeanne"]


def test_raw_octets_in_fields_are_read() -> None:
    message = parse("From: Jérôme <j@x.fr>\r\nSubject: été\r\n\r\nx".encode("cp1252"))
    assert message.subject == "été"
    assert message.from_[0].name == "Jérôme"


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n\r\n", b"\xef\xbb\xbf\n"])
def test_what_an_editor_puts_before_a_saved_mail_is_ignored(before: bytes) -> None:
    assert parse(before + making.eml(subject="x")).subject == "x"


def test_flowed_paragraphs_are_lines_again() -> None:
    message = _mail(
        "Content-Type: text/plain; format=flowed\n\nBonjour, je \nvous écris.\n> Offre \n> d'emploi\n-- \nJ\n"
    )
    assert message.text == "Bonjour, je vous écris.\n> Offre d'emploi\n-- \nJ\n"


def test_a_null_return_path_is_not_a_missing_one() -> None:
    assert parse(b"Return-Path: <>\r\nFrom: a@b\r\n\r\n").return_path == ""
    assert parse(b"From: a@b\r\n\r\n").return_path is None
    assert parse(b"Return-Path: <J@x.fr>\r\n\r\n").return_path == "j@x.fr"


def test_a_repeated_field_is_a_defect_and_all_senders_are_kept() -> None:
    message = parse(b"From: a@b\r\nFrom: c@d\r\nSubject: one\r\nSubject: two\r\n\r\n")
    assert [address.addr_spec for address in message.from_] == ["a@b", "c@d"]
    assert message.subject == "one"
    assert {"field from repeated", "field subject repeated"} <= set(message.defects)


def test_html_hides_nothing_and_shows_nothing_hidden() -> None:
    text = html_text(
        "<style>x</style><div>Bonjour&nbsp;madame,<br>voici</div><div style='display:none'>secret</div>"
        "<ul><li>un</li><li>deux</li></ul><table><tr><td>a</td><td>b</td></tr></table>"
        "<blockquote>Offre</blockquote><script>y</script>"
    )
    assert text.split("\n") == ["Bonjour madame,", "voici", "", "- un", "- deux", "", "a\tb", "", "> Offre"]


# --- What is no mail ------------------------------------------------------------------------------------------


def _sound(message: Message) -> None:
    texts = [message.subject, message.text, *(text for field in message.headers for text in field), *message.defects]
    for text in texts:
        text.encode()
        assert "\x00" not in text
    assert "\n" not in message.subject
    for inner in message.enclosed:
        _sound(inner)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300, deadline=None)
@given(st.binary(max_size=2000))
def test_any_octets_are_a_message(octets: bytes) -> None:
    _sound(parse(octets))


_PIECES = st.sampled_from(
    [
        *(b"From: ", b"Subject: ", b"To: ", b"Date: ", b"Received: ", b"Content-Type: ", b"Content-Disposition: "),
        *(b"multipart/mixed", b"multipart/alternative", b"message/rfc822", b"text/html", b"message/delivery-status"),
        *(b"; boundary=b", b'; boundary="', b"; boundary=", b"; charset=zip", b"; filename*0*=", b"; name="),
        *(b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"--b\r\n", b"--b--", b" ", b"\t", b"\x00", b"\xff", b"\xc3\xa9"),
        *(b"=?utf-8?Q?", b"=?utf-8?B?", b"?=", b"Content-Transfer-Encoding: base64", b"uuencode", b"a@b.c", b"<", b">"),
        *(b"begin 644 x\n", b"\nend\n", b"Tue, 13 Feb 2024 09:22:01 +0100", b"AAAA", b"application/pkcs7-mime"),
    ]
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=500, deadline=None)
@given(st.lists(_PIECES, max_size=60).map(b"".join))
def test_any_heap_of_mail_pieces_is_a_message(octets: bytes) -> None:
    _sound(parse(octets))


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200, deadline=None)
@given(st.data())
def test_any_mutilated_mail_is_a_message(data: st.DataObject) -> None:
    octets = bytearray(_WHOLE)
    for _cut in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(octets)))
        length = data.draw(st.integers(0, 40))
        octets[start : start + length] = data.draw(st.binary(max_size=10))
    _sound(parse(bytes(octets)))


_WHOLE = making.eml(
    text="Bonjour é",
    html="<p>Bonjour é</p>",
    attachments=[("CV é.txt", b"abc")],
    enclosed=[making.eml(attachments=[("LM.txt", b"def")])],
)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n",
        b"From " * 1000,
        b"Subject: " + b"a" * 5_000_000,
        b"To: " + b"(" * 100_000,
        b"To: " + b"<" * 100_000,
        b"To: " + b'"' * 100_001,
        b"To: " + b",".join(b"a%d@b.c" % n for n in range(100_000)),
        b"".join(b"X-%d: y\r\n" % n for n in range(200_000)),
        b"Subject: " + b"=?utf-8?Q?a?=\r\n " * 50_000,
        b"Content-Type: text/plain" + b"".join(b";\r\n a*%d=x" % n for n in range(20_000)),
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 100_000,
        b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(2000)),
        b"Content-Type: message/rfc822\r\n\r\n" * 5000,
        b"Received: x;\r\n" * 50_000,
        b"\r" * 1_000_000,
        b"<div>" * 200_000,
        b"Content-Type: text/html\r\n\r\n" + b"<div>" * 300_000,
        b"\nbegin 644 x\n" * 50_000 + b"\nend",
        b"\nbegin 644 x\n" + b"M" * 60 + b"\n" * 200_000,
        b"\n" + b"base64" * 200_000,
        b"Content-Transfer-Encoding: base64\n" * 100_000,
        b"References: " + b"<a" * 100_000,
        b"\n" + "\u0f71\u0f72".encode() * 100_000,
    ],
    ids=range(24),
)
def test_what_makes_other_parsers_hang_is_read_at_once(octets: bytes) -> None:
    begun = time.process_time()
    _sound(parse(octets))
    assert time.process_time() - begun < 3


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_what_a_normal_form_would_change_is_not_left_alone(form) -> None:
    letters = [chr(code) for code in (*range(0x3400), *range(0xF900, 0x10000), 0x1D400, 0x1E000)]
    assert [
        letter for letter in letters if normal("e" + letter, form) != unicodedata.normalize(form, "e" + letter)
    ] == []
