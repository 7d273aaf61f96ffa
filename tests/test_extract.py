"""Documents in every format to text, and exactly one state for each."""

from __future__ import annotations

import io
import os
import sys
import zipfile
import zlib

import docx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inbox_agent.application import DocumentState, Where
from inbox_agent.extract import Extract, Limits, extract, language_of
from inbox_agent.formats import ocr, pdf
from inbox_agent.message import Attachment

import making

LINES = (
    "Jeanne Dupont",
    "Expérience professionnelle",
    "Chargée de mission à la mairie, de 2019 à 2023",
    "Cœur de métier : la politique de la ville",
)


def _extract(
    octets: bytes, name: str | None = None, *, declared: str = "application/octet-stream", **more: int
) -> Extract:
    ocr.begin()
    (found,) = extract(Attachment("2", name, declared, "attachment", None, octets), Limits(**more))
    return found


@pytest.mark.parametrize(
    ("octets", "media_type"),
    [
        (making.pdf(LINES), "application/pdf"),
        (b"junk before the header\n" + making.pdf(LINES), "application/pdf"),
        (making.restricted_pdf(LINES), "application/pdf"),
        (making.docx(LINES), making.TYPES["docx"]),
        (making.docm(LINES), making.TYPES["docx"]),
        (making.dotx(LINES), making.TYPES["docx"]),
        (making.docx(textbox=LINES), making.TYPES["docx"]),
        (making.docx(content_control=LINES), making.TYPES["docx"]),
        (making.docx(tables=[[LINES]]), making.TYPES["docx"]),
        (making.doc(LINES), "application/msword"),
        (making.odt(LINES), making.TYPES["odt"]),
        (making.rtf(LINES), "application/rtf"),
        (making.html(LINES), "text/html"),
        ("\n".join(LINES).encode(), "text/plain"),
        ("\n".join(LINES).encode("cp1252"), "text/plain"),
        ("\n".join(LINES).encode("utf-16"), "text/plain"),
    ],
    ids=range(16),
)
@pytest.mark.parametrize("name", [None, "CV", "CV.PDF", "image.jpg"])
def test_the_text_is_read_whatever_the_name_says(octets: bytes, media_type: str, name: str | None) -> None:
    found = _extract(octets, name)
    assert found.state is DocumentState.READ
    assert [line for line in LINES if line not in found.text] == []
    assert found.media_type == media_type
    assert found.language == "fr"
    assert found.octets == octets


def test_a_text_box_is_read_once_though_word_writes_it_twice() -> None:
    assert _extract(making.docx(textbox=LINES)).text.count("Jeanne Dupont") == 1


def test_headers_and_footers_of_a_word_document_are_read() -> None:
    text = _extract(making.docx(LINES, header="Candidature", footer="Page 1")).text
    assert text.startswith("Candidature\n")
    assert text.endswith("Page 1")


def test_a_strict_office_document_is_read() -> None:
    source = zipfile.ZipFile(io.BytesIO(making.docx(LINES)))
    members = {name: source.read(name) for name in source.namelist()}
    strict = b"http://purl.oclc.org/ooxml/wordprocessingml/main"
    members["word/document.xml"] = members["word/document.xml"].replace(making.W.encode(), strict)
    assert "Expérience" in _extract(making.zip_of(members)).text


def test_a_macro_is_said_and_the_text_is_read() -> None:
    assert _extract(making.docm(LINES)).notes == ("macro présente, jamais exécutée",)
    assert _extract(making.docx(LINES)).notes == ()


def test_pages_are_counted() -> None:
    assert _extract(making.pdf(LINES * 20)).pages == 2


def test_a_web_archive_by_word_is_read() -> None:
    octets = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: text/html; charset=utf-8\r\n\r\n" + making.html(LINES) + b"\r\n--b--\r\n"
    )
    assert "Expérience professionnelle" in _extract(octets, "CV.doc").text


def test_what_was_typed_into_a_form_is_read() -> None:
    assert "Jeanne Dupont" in _extract(making.form_pdf({"nom": "Jeanne Dupont"})).text


def test_a_million_blanks_take_no_time() -> None:
    spaces = b"<t:s t:c='99'/>" * 20_000
    octets = making.zip_of(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "content.xml": b"<d xmlns:t='x'><t:p>a" + spaces + b"b</t:p></d>",
        }
    )
    assert _extract(octets).text == "a b"


@settings(suppress_health_check=list(HealthCheck), max_examples=150, deadline=None)
@given(st.data())
def test_any_mutilated_document_ends_in_one_state(data: st.DataObject) -> None:
    octets = bytearray(data.draw(st.sampled_from(SOUND)))
    for _cut in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(octets)))
        octets[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=6))
    attachment = Attachment("1", data.draw(st.sampled_from(("x.doc", "x.zip", None))), "a/b", None, None, bytes(octets))
    for found in extract(attachment, Limits(cautious=True)):
        assert isinstance(found.state, DocumentState)
        found.text.encode()


SOUND = [
    making.pdf(LINES),
    making.docx(LINES, tables=[[LINES]]),
    making.doc(LINES),
    making.odt(LINES),
    making.rtf(LINES),
    making.html(LINES),
    making.zip_of({"a.txt": b"abc", "b.rtf": making.rtf(LINES)}),
    making.outlook_message(headers=None, attachments=[("a.txt", b"abc")]),
    making.picture(LINES, width=80, height=80),
]


# --- PDF ------------------------------------------------------------------------------------------------------


def test_two_columns_drawn_line_for_line_are_read_one_after_the_other() -> None:
    left = [f"à gauche une phrase entière {number}" for number in range(40)]
    right = [f"à droite une autre phrase {number}" for number in range(40)]
    found = _extract(making.pdf(left + right, columns=2, row_by_row=True))
    assert found.text.split("\n") == [*left, "", *right]


def test_two_columns_in_good_order_stay_as_they_are() -> None:
    lines = [f"ligne {number}" for number in range(80)]
    assert _extract(making.pdf(lines, columns=2)).text.split("\n") == lines


def test_dates_stay_beside_their_posts() -> None:
    dates = [f"{year}" for year in range(1980, 2020)]
    posts = [f"Chargée de mission à la mairie {number}" for number in range(40)]
    text = _extract(making.pdf(dates + posts, columns=2, row_by_row=True)).text
    assert "1980 Chargée de mission à la mairie 0" in text.replace("\n", " ")


def test_a_page_of_full_lines_has_no_columns() -> None:
    assert pdf.interleaved([(50, 700 - 14 * row, 500, 710 - 14 * row) for row in range(40)], 595) is None


def test_words_that_are_glued_or_spaced_out_are_noticed() -> None:
    prose = "Chargée de mission à la mairie depuis cinq ans, je souhaite rejoindre votre équipe. " * 5
    assert not pdf.doubtful(prose)
    assert pdf.doubtful(prose.replace(" ", ""))
    assert pdf.doubtful(" ".join(prose.replace(" ", "")))
    assert pdf.quality(prose) > pdf.quality(prose.replace(" ", ""))


def test_spaced_out_headings_are_closed_up_and_ligatures_split() -> None:
    assert pdf.tidy("E X P É R I E N C E  P R O J E T\nﬁn e\u0301te\u0301") == "EXPÉRIENCE  PROJET\nfin été"
    assert pdf.tidy("à y a une A B") == "à y a une A B"


def test_a_word_broken_at_the_end_of_a_line_is_mended() -> None:
    assert pdf.tidy("profes\ufffe\r\nsionnelle") == "professionnelle"


def test_a_careful_reading_gives_the_same_text() -> None:
    assert _extract(making.pdf(LINES), cautious=True).text.split("\n") == list(LINES)


def test_a_bomb_is_damaged_when_read_carefully() -> None:
    assert _extract(_flate_bomb(), cautious=True).state is DocumentState.DAMAGED


def _flate_bomb() -> bytes:
    stream = zlib.compress(b"q " * 60_000_000)
    return (
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n"
        b"4 0 obj<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream endobj\ntrailer<</Root 1 0 R>>\n"
        % (len(stream), stream)
    )


# --- States ---------------------------------------------------------------------------------------------------


def _locked_odt() -> bytes:
    return making.zip_of(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "META-INF/manifest.xml": b"<manifest><file-entry><encryption-data/></file-entry></manifest>",
            "content.xml": b"\x01\x02\x03",
        }
    )


@pytest.mark.parametrize(
    ("octets", "name", "state"),
    [
        (making.scanned_pdf(LINES), "CV.pdf", DocumentState.SCANNED),
        (making.picture(LINES), "CV.png", DocumentState.SCANNED),
        (making.picture(LINES, file_format="JPEG"), "CV.jpg", DocumentState.SCANNED),
        (making.docx(picture_octets=making.picture(LINES)), "CV.docx", DocumentState.SCANNED),
        (making.encrypted_pdf(LINES), "CV.pdf", DocumentState.LOCKED),
        (making.compound({"EncryptedPackage": b"x" * 5000, "EncryptionInfo": b"x"}), "CV.docx", DocumentState.LOCKED),
        (making.doc(LINES, encrypted=True), "CV.doc", DocumentState.LOCKED),
        (_locked_odt(), "CV.odt", DocumentState.LOCKED),
        (b"-----BEGIN PGP MESSAGE-----\n\nabc", "encrypted.asc", DocumentState.LOCKED),
        (making.pdf(LINES)[:600], "CV.pdf", DocumentState.DAMAGED),
        (making.docx(LINES)[:9000], "CV.docx", DocumentState.DAMAGED),
        (making.doc(LINES)[:700], "CV.doc", DocumentState.DAMAGED),
        (bytes(range(256)) * 20, "CV.pdf", DocumentState.DAMAGED),
        (b"", "CV.pdf", DocumentState.EMPTY),
        (bytes(1000), "CV.pdf", DocumentState.EMPTY),
        (making.pdf([""]), "CV.pdf", DocumentState.EMPTY),
        (making.docx(), "CV.docx", DocumentState.EMPTY),
        (b"Rar!\x1a\x07\x01\x00" + bytes(range(200)), "CV.rar", DocumentState.UNSUPPORTED),
        (b"7z\xbc\xaf\x27\x1c" + bytes(range(200)), "CV.7z", DocumentState.UNSUPPORTED),
        (making.zip_of({"Index/Document.iwa": b"x", "preview.jpg": b"x"}), "CV.pages", DocumentState.UNSUPPORTED),
        (b'{"url": "https://docs.example.org/d/1"}', "CV.gdoc", DocumentState.UNSUPPORTED),
        (b"[InternetShortcut]\nURL=https://example.org", "CV.url", DocumentState.UNSUPPORTED),
        (b"MZ\x90\x00" + bytes(range(200)), "CV.pdf", DocumentState.REFUSED),
        (b"\x7fELF" + bytes(range(200)), "CV", DocumentState.REFUSED),
        (b"WScript.Echo 1", "CV.pdf.vbs", DocumentState.REFUSED),
        (making.zip_of({"META-INF/MANIFEST.MF": b"x", "A.class": b"x"}), "CV.zip", DocumentState.REFUSED),
        (
            making.zip_of({"word/document.xml": b"<!DOCTYPE x []><x/>", "[Content_Types].xml": b"x"}),
            "x.docx",
            DocumentState.REFUSED,
        ),
        (making.zip_of({"big": bytes(150_000_000)}), "CV.zip", DocumentState.REFUSED),
        (making.zip_of({}), "CV.zip", DocumentState.EMPTY),
    ],
    ids=range(29),
)
def test_what_cannot_be_read_says_why(octets: bytes, name: str, state: DocumentState) -> None:
    found = _extract(octets, name)
    assert found.state is state
    assert found.text == ""
    if state is not DocumentState.SCANNED and octets:
        assert found.notes or state is DocumentState.EMPTY


def test_a_logo_is_decoration_and_a_photographed_page_is_not() -> None:
    assert _extract(making.picture(["Mairie"], width=300, height=120)).decoration
    assert not _extract(making.picture(LINES, file_format="JPEG")).decoration


def test_a_photo_that_was_cut_off_anywhere_is_a_scan():
    whole = making.picture(LINES, file_format="JPEG")

    assert {_extract(whole[:length]).state for length in range(4, 700)} == {DocumentState.SCANNED}


def test_a_word_document_that_unpacks_too_far_is_refused() -> None:
    bomb = making.zip_of({"[Content_Types].xml": b"x", "word/document.xml": b"<w>" + b" " * 40_000_000 + b"</w>"})
    assert _extract(bomb).state is DocumentState.REFUSED


def test_half_a_word_document_is_read_in_part() -> None:
    source = zipfile.ZipFile(io.BytesIO(making.docx(LINES)))
    members = {name: source.read(name) for name in source.namelist()}
    members["word/document.xml"] = members["word/document.xml"].partition(b"C\xc5\x93ur")[0]
    found = _extract(making.zip_of(members))
    assert found.state is DocumentState.READ
    assert "Expérience" in found.text
    assert found.notes == ("fichier endommagé, lu en partie",)


# --- Archives -------------------------------------------------------------------------------------------------


def _members(octets: bytes, **more: int) -> list[tuple[str, str, str]]:
    found = extract(Attachment("2", "Dossier.zip", "application/zip", "attachment", None, octets), Limits(**more))
    assert {one.where for one in found} <= {Where.ARCHIVE, Where.ATTACHMENT}
    return [(one.part, one.name, one.state.value) for one in found]


def test_the_files_of_an_archive_are_documents_of_their_own() -> None:
    octets = making.zip_of(
        {
            "Candidature/CV été.pdf": making.pdf(LINES),
            "__MACOSX/Candidature/._CV.pdf": b"x",
            "Candidature/LM.docx": making.docx(LINES),
            "../../etc/passwd": b"root",
            "Candidature/autre.zip": making.zip_of({"Diplôme.txt": "diplôme".encode()}),
        }
    )
    assert _members(octets) == [
        ("2!1", "CV été.pdf", "read"),
        ("2!2", "LM.docx", "read"),
        ("2!3", "passwd", "read"),
        ("2!4!1", "Diplôme.txt", "read"),
    ]


def test_names_by_windows_and_macos_keep_their_accents() -> None:
    for codec in ("cp850", "utf-8"):
        octets = making.zip_of({"Lettre_XXXXX.txt": b"abc"}).replace(b"_XXXXX", "_été".encode(codec).ljust(6, b"_"))
        assert _members(octets)[0][1].startswith("Lettre_été")


def test_archives_within_archives_end_somewhere() -> None:
    octets = making.zip_of({"x.txt": b"abc"})
    for _level in range(5):
        octets = making.zip_of({"x.zip": octets})
    assert [state for _, _, state in _members(octets)] == ["refused"]


def test_too_many_files_are_refused_as_a_whole() -> None:
    octets = making.zip_of({f"{number}.txt": b"x" for number in range(30)})
    assert [state for _, _, state in _members(octets, archive_entries=20)] == ["refused"]
    found = extract(Attachment("2", None, "application/zip", None, None, octets), Limits(archive_documents=10))
    assert len(found) == 10
    assert found[-1].notes == ("archive lue jusqu’au 10e fichier",)


def test_an_archive_with_a_password_is_locked() -> None:
    octets = bytearray(making.zip_of({"CV.txt": b"abc"}))
    octets[6] |= 1
    octets[octets.index(b"PK\x01\x02") + 8] |= 1
    assert [state for _, _, state in _members(bytes(octets))] == ["locked"]


def test_outlook_containers_are_unsupported_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tnefparse", None)
    found = _extract(b"\x78\x9f\x3e\x22" + bytes(50), "winmail.dat")
    assert found.state is DocumentState.UNSUPPORTED
    assert found.notes == ("format d’Outlook non lu",)


# --- Recognition of scans ---------------------------------------------------------------------------------------


@pytest.mark.skipif(ocr.tesseract() is None, reason="tesseract is not installed")
@pytest.mark.parametrize("octets", [making.scanned_pdf(LINES, pages=2), making.picture(LINES)], ids=["pdf", "png"])
def test_a_scan_is_read_where_tesseract_is_asked(octets: bytes) -> None:
    found = _extract(octets, ocr_pages=1, ocr_seconds=100)
    assert found.state is DocumentState.READ
    assert "Expérience professionnelle" in found.text
    assert found.images >= 1


@pytest.mark.skipif(ocr.tesseract() is None or not ocr._installed("osd"), reason="tesseract with osd is not installed")
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_page_that_was_fed_sideways_is_turned(turned: int) -> None:
    found = _extract(making.picture(LINES * 4, turned=turned), ocr_pages=1, ocr_seconds=100)
    assert "Expérience professionnelle" in found.text


@pytest.mark.skipif(ocr.tesseract() is None, reason="tesseract is not installed")
def test_a_scan_pasted_into_word_is_read() -> None:
    document = docx.Document()
    document.add_picture(io.BytesIO(making.picture(LINES)))
    octets = io.BytesIO()
    document.save(octets)
    assert "Expérience professionnelle" in _extract(octets.getvalue(), ocr_pages=1, ocr_seconds=100).text
    assert _extract(octets.getvalue()).state is DocumentState.SCANNED


@pytest.mark.skipif(ocr.tesseract() is None, reason="tesseract is not installed")
def test_a_page_photographed_aslant_is_read_as_one_block() -> None:
    found = _extract(making.picture(LINES * 4, turned=9), ocr_pages=1, ocr_seconds=100)
    assert "Expérience professionnelle" in found.text


def test_a_scan_stays_a_scan_when_no_time_is_left() -> None:
    assert _extract(making.scanned_pdf(LINES), ocr_pages=1, ocr_seconds=0).state is DocumentState.SCANNED


def test_a_late_answer_is_never_taken_for_the_text_of_the_next_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, to_it = os.pipe()
    from_it, texts = os.pipe()
    monkeypatch.setattr(ocr, "_state", ocr._State(pipes=(to_it, from_it)))
    monkeypatch.setattr(ocr, "tesseract", lambda: "tesseract")
    for number, text in ((1, b"of somebody else"), (2, b"of this page")):
        os.write(texts, ocr._ANSWER.pack(number, len(text)) + text)
    ocr._state.asked = 1  # The first was given up.
    assert ocr.recognise_page(b"P5", Limits(ocr_pages=1)) == "of this page"
    for pipe in (pictures, to_it, from_it, texts):
        os.close(pipe)


def test_the_language_is_told_by_small_words() -> None:
    assert language_of(" ".join(LINES)) == "fr"
    assert language_of("I have worked for the city and with the people of the district") == "en"
    assert language_of("Jeanne Dupont") is None
