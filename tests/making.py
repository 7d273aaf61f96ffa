"""Octets of documents and mails for tests, made on the spot: nothing here is read by the package.

Every function takes what a test wants to say and gives octets. PDF text is drawn with Helvetica by reportlab, so
accents are real ones; a scan is a picture of the same text.
"""

from __future__ import annotations

import io
import struct
import zipfile
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Streams: TypeAlias = "bytes | Mapping[str, Streams]"

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
LINE = 14  # points between two lines
PER_PAGE = 50  # lines of one page


# --- PDF ------------------------------------------------------------------------------------------------------


def pdf(
    lines: Sequence[str],
    *,
    columns: int = 1,
    title: str | None = None,
    user_password: str | None = None,
    owner_password: str | None = None,
    row_by_row: bool = False,
) -> bytes:
    """Lines of text over as many pages as they need; with `columns` the lines are dealt out in blocks.

    `row_by_row` draws two columns line for line across the page, as some word processors do.
    """
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 only tests that make a PDF pay for it
    from reportlab.lib.pdfencrypt import StandardEncryption  # noqa: PLC0415 see above
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415 see above

    encrypt = None
    if user_password is not None or owner_password is not None:
        encrypt = StandardEncryption(user_password or "", owner_password or "owner", strength=128)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, encrypt=encrypt)
    if title:
        canvas.setTitle(title)
    width = (A4[0] - 80) / columns
    per_page = PER_PAGE * columns
    for start in range(0, max(len(lines), 1), per_page):
        canvas.setFont("Helvetica", 10)
        page = lines[start : start + per_page]
        tall = -(-len(page) // columns) or 1
        places = [(index // tall, index % tall, line) for index, line in enumerate(page)]
        if row_by_row:
            places.sort(key=lambda place: (place[1], place[0]))
        for column, row, line in places:
            canvas.drawString(40 + column * width, A4[1] - 60 - row * LINE, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def form_pdf(fields: Mapping[str, str]) -> bytes:
    """A PDF form, filled in."""
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415 only tests that make a PDF pay for it

    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for rank, (name, value) in enumerate(fields.items()):
        canvas.acroForm.textfield(name=name, value=value, x=40, y=700 - 40 * rank, width=300, height=20)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def encrypted_pdf(lines: Sequence[str], *, user_password: str = "secret") -> bytes:  # noqa: S107 a test's own
    """A PDF that nobody opens without the password."""
    return pdf(lines, user_password=user_password)


def restricted_pdf(lines: Sequence[str]) -> bytes:
    """A PDF that everybody may read and only its owner may change: no password is needed to open it."""
    return pdf(lines, owner_password="owner")


def picture(
    lines: Sequence[str], *, file_format: str = "PNG", width: int = 1240, height: int = 1754, turned: int = 0
) -> bytes:
    """A page as a picture (150 dpi A4 unless told), black on white, turned by so many degrees."""
    import reportlab  # noqa: PLC0415 only tests that make a picture pay for it
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 comes with reportlab

    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf"), 28)
    for row, line in enumerate(lines):
        draw.text((100, 100 + row * 42), line, fill="black", font=font)
    buffer = io.BytesIO()
    image.rotate(turned, expand=True).save(buffer, file_format)
    return buffer.getvalue()


def scanned_pdf(lines: Sequence[str], *, pages: int = 1) -> bytes:
    """A PDF whose pages are pictures of text."""
    from reportlab.lib.pagesizes import A4  # noqa: PLC0415 only tests that make a PDF pay for it
    from reportlab.lib.utils import ImageReader  # noqa: PLC0415 see above
    from reportlab.pdfgen.canvas import Canvas  # noqa: PLC0415 see above

    image = ImageReader(io.BytesIO(picture(lines, file_format="JPEG")))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4)
    for _page in range(pages):
        canvas.drawImage(image, 0, 0, A4[0], A4[1])
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


# --- Word, OpenDocument, RTF ----------------------------------------------------------------------------------


def docx(
    paragraphs: Sequence[str] = (),
    *,
    tables: Sequence[Sequence[Sequence[str]]] = (),
    header: str | None = None,
    footer: str | None = None,
    textbox: Sequence[str] = (),
    content_control: Sequence[str] = (),
    picture_octets: bytes | None = None,
) -> bytes:
    """A Word document by python-docx; text boxes and content controls are added as Word writes them."""
    import docx as python_docx  # noqa: PLC0415 only tests that make a document pay for it
    from docx.oxml import parse_xml  # noqa: PLC0415 see above

    document = python_docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    for rows in tables:
        table = document.add_table(len(rows), max(len(row) for row in rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                table.cell(row, column).text = text
    section = document.sections[0]
    if header:
        section.header.paragraphs[0].text = header
    if footer:
        section.footer.paragraphs[0].text = footer
    if picture_octets:
        document.add_picture(io.BytesIO(picture_octets))
    body = document.element.body
    if content_control:
        body.insert(len(body) - 1, parse_xml(_sdt(content_control)))
    if textbox:
        body.insert(len(body) - 1, parse_xml(_textbox(textbox)))
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _paragraphs(lines: Sequence[str]) -> str:
    return "".join(f'<w:p><w:r><w:t xml:space="preserve">{escape(line)}</w:t></w:r></w:p>' for line in lines)


def _sdt(lines: Sequence[str]) -> str:
    return f'<w:sdt xmlns:w="{W}"><w:sdtContent>{_paragraphs(lines)}</w:sdtContent></w:sdt>'


def _textbox(lines: Sequence[str]) -> str:
    inner = f"<w:txbxContent>{_paragraphs(lines)}</w:txbxContent>"
    # Word writes every text box twice: a drawing, and the same as VML for old readers.
    return (
        f'<w:p xmlns:w="{W}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
        'xmlns:v="urn:schemas-microsoft-com:vml"><w:r><mc:AlternateContent>'
        f'<mc:Choice Requires="wps"><w:drawing><wps:wsp><wps:txbx>{inner}</wps:txbx></wps:wsp></w:drawing></mc:Choice>'
        f"<mc:Fallback><w:pict><v:shape><v:textbox>{inner}</v:textbox></v:shape></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )


def docm(paragraphs: Sequence[str]) -> bytes:
    """A Word document with a macro project (which is no real one)."""
    source = zipfile.ZipFile(io.BytesIO(docx(paragraphs)))
    members = {name: source.read(name) for name in source.namelist()}
    members["[Content_Types].xml"] = members["[Content_Types].xml"].replace(
        b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
        b"application/vnd.ms-word.document.macroEnabled.main+xml",
    )
    members["word/vbaProject.bin"] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
    return zip_of(members)


def dotx(paragraphs: Sequence[str]) -> bytes:
    """A Word template."""
    source = zipfile.ZipFile(io.BytesIO(docx(paragraphs)))
    members = {name: source.read(name) for name in source.namelist()}
    members["[Content_Types].xml"] = members["[Content_Types].xml"].replace(
        b"wordprocessingml.document.main+xml", b"wordprocessingml.template.main+xml"
    )
    return zip_of(members)


def odt(paragraphs: Sequence[str], *, header: str | None = None) -> bytes:
    """An OpenDocument text; its first member says so, uncompressed, as the format asks."""
    office = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"'
    text = 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
    style = 'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"'
    body = "".join(f"<text:p>{escape(line)}</text:p>" for line in paragraphs)
    content = (
        f"<office:document-content {office} {text}><office:body><office:text>{body}</office:text></office:body>"
        "</office:document-content>"
    )
    styles = (
        f"<office:document-styles {office} {text} {style}><office:master-styles><style:master-page>"
        f"<style:header><text:p>{escape(header or '')}</text:p></style:header></style:master-page>"
        "</office:master-styles></office:document-styles>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", content, zipfile.ZIP_DEFLATED)
        archive.writestr("styles.xml", styles, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def rtf(paragraphs: Sequence[str]) -> bytes:
    r"""RTF as Word writes it: Windows-1252 as \'xx, the rest as \u."""

    def escaped(line: str) -> str:
        pieces = []
        for character in line:
            if character in "\\{}":
                pieces.append("\\" + character)
            elif character.isascii():
                pieces.append(character)
            else:
                try:
                    pieces.append(f"\\'{character.encode('cp1252')[0]:02x}")
                except UnicodeEncodeError:
                    pieces.append(f"\\u{ord(character)}?")
        return "".join(pieces)

    body = "\\par\n".join(escaped(line) for line in paragraphs)
    return ("{\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0\\fswiss Arial;}}\n\\f0\\fs22 " + body + "\\par}").encode(
        "ascii"
    )


def html(paragraphs: Sequence[str]) -> bytes:
    body = "".join(f"<p>{escape(line)}</p>" for line in paragraphs)
    return f'<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>{body}</body></html>'.encode()


# --- Archives and mails ---------------------------------------------------------------------------------------


def zip_of(members: Mapping[str, bytes]) -> bytes:
    """A ZIP archive of these members, deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in members.items():
            archive.writestr(name, octets)
    return buffer.getvalue()


TYPES = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "doc": "application/msword",
    "odt": "application/vnd.oasis.opendocument.text",
    "rtf": "application/rtf",
    "zip": "application/zip",
    "png": "image/png",
    "jpg": "image/jpeg",
    "txt": "text/plain",
    "html": "text/html",
    "eml": "application/octet-stream",
}


def eml(
    *,
    from_: str = "Jeanne Dupont <jeanne.dupont@example.org>",
    to: str = "marienoelle.pinson@villesaucarre.org",
    cc: str | None = "helene.dugue@villesaucarre.org",
    subject: str = "Candidature au poste de chargée de mission",
    text: str | None = "Bonjour,\n\nVeuillez trouver ci-joint mon CV.\n\nJeanne Dupont\n",
    html: str | None = None,
    date: datetime | None = None,
    received: datetime | None = None,
    attachments: Sequence[tuple[str, bytes]] = (),
    enclosed: Sequence[bytes] = (),
    headers: Mapping[str, str] | None = None,
    message_id: str | None = "<1@example.org>",
) -> bytes:
    """A mail as a decent program writes it. `attachments` are (file name, octets); `enclosed` whole mails.

    `received` becomes the topmost Received field; `headers` are added as they are and may replace others.
    """
    message = EmailMessage()
    told = {"From": from_, "To": to, "Cc": cc, "Subject": subject, "Message-ID": message_id}
    told["Date"] = format_datetime(date) if date else "Tue, 13 Feb 2024 09:22:01 +0100"
    told |= headers or {}
    if received:
        message["Received"] = (
            f"from mx.example.org by mx.villesaucarre.org with ESMTPS id 1; {format_datetime(received)}"
        )
    for name, value in told.items():
        if value is not None:
            message[name] = value
    if text is not None:
        message.set_content(text, cte="8bit" if text.isascii() else "quoted-printable")
    if html is not None:
        if text is None:
            message.set_content(html, subtype="html")
        else:
            message.add_alternative(html, subtype="html")
    for name, octets in attachments:
        kind = TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
        main, _, sub = kind.partition("/")
        message.add_attachment(octets, maintype=main, subtype=sub, filename=name)
    for octets in enclosed:
        _enclose(message, octets)
    return message.as_bytes()


def _enclose(message: EmailMessage, octets: bytes) -> None:
    message.add_attachment(message_from_bytes(octets, policy=policy.default))


# --- DOC ------------------------------------------------------------------------------------------------------


def compound(streams: Mapping[str, Streams]) -> bytes:
    """A compound file (MS-CFB) with these streams in its root; a mapping within is a storage.

    Small streams are padded to 4 kB with NUL, so that no mini stream is needed; the size told is the true one where
    it is larger.
    """
    sector, free, end = 512, 0xFFFFFFFF, 0xFFFFFFFE
    chains: list[bytes] = []
    fat: list[int] = []

    def store(octets: bytes) -> int:
        first, count = len(fat), max(1, -(-len(octets) // sector))
        fat.extend([*range(first + 1, first + count), end])
        chains.append(octets.ljust(count * sector, b"\0"))
        return first

    entries: list[bytes] = [b""]

    def folder(inside: Mapping[str, Streams]) -> int:
        """The rank of the first entry. Siblings are a list to the right: legal, if not balanced."""
        names = sorted(inside, key=lambda name: (len(name), name.upper()))
        ranks = list(range(len(entries), len(entries) + len(names)))
        entries.extend(b"" for _name in names)
        for rank, name in zip(ranks, names, strict=True):
            right = rank + 1 if rank < ranks[-1] else free
            what = inside[name]
            if isinstance(what, bytes):
                size = max(len(what), 4096)
                start = store(what.ljust(4096, b"\0"))
                entries[rank] = _entry(name, 2, child=free, right=right, start=start, size=size)
            else:
                entries[rank] = _entry(name, 1, child=folder(what), right=right, start=0, size=0)
        return ranks[0] if ranks else free

    entries[0] = _entry("Root Entry", 5, child=folder(streams), right=free, start=end, size=0)
    directory = store(b"".join(entries).ljust(-(-len(entries) // 4) * sector, b"\0"))
    tables = 1
    while len(fat) + tables > tables * sector // 4:
        tables += 1
    fat_at = list(range(len(fat), len(fat) + tables))
    fat.extend(0xFFFFFFFD for _table in fat_at)
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(tables * sector, b"\xff")
    head = struct.pack("<8s16sHHHHH6s", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"")
    head += struct.pack("<IIIIIIIII", 0, tables, directory, 0, 4096, end, 0, end, 0)
    head += struct.pack(f"<{tables}I", *fat_at).ljust(436, b"\xff")
    return head + b"".join(chains) + table


def _entry(name: str, kind: int, *, child: int, right: int, start: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return struct.pack(
        "<64sHBBIII16sIQQIQ", encoded, len(encoded), kind, 1, 0xFFFFFFFF, right, child, b"", 0, 0, 0, start, size
    )


def doc(paragraphs: Sequence[str], *, encrypted: bool = False) -> bytes:
    """A Word 97 document of two pieces, one of 8 bits and one of 16, as far as a reader of its text looks."""
    first, rest = paragraphs[0] + "\r", "".join(line + "\r" for line in paragraphs[1:])
    text_at, narrow, wide = 0x600, first.encode("cp1252"), rest.encode("utf-16-le")
    wide_at = text_at + len(narrow) + len(narrow) % 2
    places = [(0, 0x40000000 | text_at * 2), (0, wide_at)]
    ends = struct.pack("<3I", 0, len(first), len(first) + len(rest))
    pieces = ends + b"".join(struct.pack("<HIH", flags, place, 0) for flags, place in places)
    table = b"\x02" + struct.pack("<I", len(pieces)) + pieces
    stream = bytearray(text_at)
    struct.pack_into("<HH", stream, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", stream, 0x0A, 0x0200 | (0x0100 if encrypted else 0))
    struct.pack_into("<II", stream, 0x01A2, 0, len(table))
    stream += narrow.ljust(wide_at - text_at, b"\0") + wide
    return compound({"WordDocument": bytes(stream), "1Table": table})


def outlook_message(
    *,
    headers: str | None,
    subject: str = "Candidature",
    sender: tuple[str, str] = ("Jeanne Dupont", "jeanne.dupont@example.org"),
    text: str = "Bonjour, voici ma candidature.",
    attachments: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """A .msg as Outlook saves it (MS-OXMSG), with the transport headers of mail that came from outside, or without."""

    def properties(before: int, texts: Mapping[int, str], binaries: Mapping[int, bytes]) -> dict[str, Streams]:
        values = {(pid, 0x001F): value.encode("utf-16-le") for pid, value in texts.items()}
        values |= {(pid, 0x0102): value for pid, value in binaries.items()}
        table = b"".join(struct.pack("<HHIII", kind, pid, 6, len(value), 0) for (pid, kind), value in values.items())
        streams: dict[str, Streams] = {
            f"__substg1.0_{pid:04X}{kind:04X}": value for (pid, kind), value in values.items()
        }
        return streams | {"__properties_version1.0": bytes(before) + table}

    texts = {0x001A: "IPM.Note", 0x0037: subject, 0x1000: text, 0x0C1A: sender[0], 0x0C1F: sender[1]}
    if headers is not None:
        texts[0x007D] = headers
    streams = properties(32, texts, {})
    for rank, (name, octets) in enumerate(attachments):
        streams[f"__attach_version1.0_#{rank:08X}"] = properties(8, {0x3707: name}, {0x3701: octets})
    return compound(streams)
