"""Makes a mailbox of French applications as they are: CV PDF of 120 to 420 kB, letter as PDF or DOCX, 450 kB each.

`applications(count)` gives the octets of message 0, 1, 2… always the same for the same number. 3 % are newsletters.
A photo gives a PDF its size, 40 % of the CVs have two columns; texts vary in name, town, trade, length and order.
"""

from __future__ import annotations

import io
import random
import unicodedata
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import docx
from PIL import Image
from reportlab import rl_config
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DIRECTRICE = "marienoelle.pinson@villesaucarre.org"
SECRETARY = "helene.dugue@villesaucarre.org"
_START = datetime(2024, 1, 15, 8, 0, tzinfo=ZoneInfo("Europe/Paris"))
_GIVEN = [
    "Jeanne",
    "Karim",
    "Sophie",
    "Thomas",
    "Nadia",
    "Hugo",
    "Inès",
    "Paul",
    "Claire",
    "Mehdi",
    "Lucie",
    "Antoine",
    "Fatou",
    "Julien",
    "Émilie",
    "Zoé",
]
_NAMES = [
    "Dupont",
    "Lefèvre",
    "Benali",
    "Moreau",
    "Roussel",
    "Blanc",
    "Caron",
    "Girard",
    "N’Diaye",
    "Le-Goff",
    "Perrin",
    "Marchand",
    "Fontaine",
]
_TOWNS = [
    "Tours",
    "Orléans",
    "Blois",
    "Bourges",
    "Chartres",
    "Châteauroux",
    "Poitiers",
    "Angers",
    "Le-Mans",
    "Nantes",
    "Vierzon",
]
_JOBS = (
    "chargée de mission politique de la ville",
    "agent de développement local",
    "cheffe de projet renouvellement urbain",
    "médiateur en centre social",
    "chargé d’études habitat",
    "animatrice de réseau",
)
NEWSLETTER_EACH = 33  # one newsletter in so many messages
_TWO_COLUMNS = 0.4  # of all CVs
_LINES = 44  # of a page


def applications(count: int) -> Iterator[tuple[datetime, bytes]]:
    """(date of arrival, octets) of each message."""
    for number in range(count):
        random_ = random.Random(number)  # noqa: S311 - the same mailbox every time
        arrived = _START + timedelta(minutes=20 * number % (30 * 24 * 60))
        yield (
            arrived,
            _newsletter(number, arrived)
            if number % NEWSLETTER_EACH == NEWSLETTER_EACH - 1
            else _application(number, random_, arrived),
        )


def large(octets: int) -> bytes:
    """An application whose CV holds a picture of so many octets."""
    return _application(0, random.Random(0), _START, picture=octets)  # noqa: S311 - the same every time


def _application(number: int, random_: random.Random, arrived: datetime, picture: int = 0) -> bytes:
    given, name, town = random_.choice(_GIVEN), random_.choice(_NAMES), random_.choice(_TOWNS)
    address = f"candidat{number}@example.org"
    message = EmailMessage()
    for hop in range(4):
        message["Received"] = (
            f"from mx{hop}.example.org (mx{hop}.example.org [192.0.2.{hop}]) by mx{hop + 1}.example.org "
            f"with ESMTPS id {number:08x}{hop}; {format_datetime(arrived)}"
        )
    message["DKIM-Signature"] = "v=1; a=rsa-sha256; d=example.org; s=s1; bh=" + "A" * 43 + "=; b=" + "B" * 300
    message["From"] = f"{given} {name} <{address}>"
    message["To"], message["Cc"] = DIRECTRICE, SECRETARY
    message["Subject"] = "Candidature au poste de chargé·e de mission questions urbaines"
    message["Date"], message["Message-ID"] = format_datetime(arrived), f"<bench-{number}@example.org>"
    text = (
        f"Madame,\n\nJe vous prie de trouver ci-joint mon CV et ma lettre de motivation pour le poste de chargé·e "
        f"de mission.\n\nBien cordialement,\n{given} {name}\n{town}\n"
    )
    message.set_content(text)
    message.add_alternative(f"<html><body><p>{text}</p></body></html>".replace("\n", "<br>"), subtype="html")
    cv = _cv(random_, f"{given} {name}", town, address, picture)
    message.add_attachment(cv, maintype="application", subtype="pdf", filename=_plain(f"CV_{name}_{given}.pdf"))
    letter = _letter(random_, f"{given} {name}", town)
    if number % 2:
        message.add_attachment(
            _pdf(random_, letter, picture=40_000),
            maintype="application",
            subtype="pdf",
            filename=_plain(f"LM_{name}.pdf"),
        )
    else:
        kind = "vnd.openxmlformats-officedocument.wordprocessingml.document"
        message.add_attachment(
            _docx(random_, letter), maintype="application", subtype=kind, filename=_plain(f"LM_{name}.docx")
        )
    return message.as_bytes().replace(b"\n", b"\r\n")


def _plain(name: str) -> str:
    """Without accents: attachment-downloader gives up the whole folder at the first RFC 2231 name."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()


def _newsletter(number: int, arrived: datetime) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "Lettre du réseau <lettre@reseau.example>", DIRECTRICE
    message["Subject"] = f"La lettre n° {number}"
    message["Date"], message["Message-ID"] = format_datetime(arrived), f"<letter-{number}@reseau.example>"
    message["List-Unsubscribe"], message["List-Id"] = "<mailto:off@reseau.example>", "<lettre.reseau.example>"
    message.set_content("Actualités du réseau.\n" * 60)
    return message.as_bytes().replace(b"\n", b"\r\n")


def _cv(random_: random.Random, who: str, town: str, address: str, picture: int) -> bytes:
    years = [f"{2023 - 2 * step} - {2024 - 2 * step} : {random_.choice(_JOBS)}, {town}" for step in range(6)]
    tasks = ["Pilotage de projets, animation de réunions, suivi budgétaire et évaluation des actions"] * 10
    past = ["EXPÉRIENCE PROFESSIONNELLE", *[line for pair in zip(years, tasks, strict=False) for line in pair]]
    past += past[1:] * random_.randint(0, 3)
    rest = [
        "FORMATION",
        "2012 : master Urbanisme et aménagement",
        "2010 : licence de géographie",
        "COMPÉTENCES",
        "Diagnostic territorial, concertation, rédaction",
        "LANGUES",
        "Anglais courant",
        "CENTRES D’INTÉRÊT",
        "Randonnée",
    ]
    head = [who, town, f"06 {random_.randrange(10, 99)} 34 56 78 - {address}"]
    picture = picture or random_.randrange(95_000, 380_000)
    if random_.random() < _TWO_COLUMNS:
        return _pdf(random_, past, picture=picture, beside=[*head, *rest])
    return _pdf(random_, [*head, *past, *rest], picture=picture)


def _letter(random_: random.Random, who: str, town: str) -> list[str]:
    return [
        who,
        f"{town}, le 12 janvier 2024",
        "Objet : candidature au poste de chargé·e de mission",
        "Madame la Directrice,",
        f"Actuellement {random_.choice(_JOBS)}, je souhaite rejoindre votre équipe et mettre mon expérience",
        "au service des territoires que vous accompagnez. Votre offre correspond à mon projet et à mes convictions.",
        "Rigoureuse et à l’écoute, j’ai conduit plusieurs diagnostics et animé des réseaux d’acteurs très divers.",
        "Je serais heureuse de vous exposer ma motivation lors d’un entretien.",
        "Je vous prie d’agréer, Madame la Directrice, l’expression de mes salutations distinguées.",
        who,
    ]


def _pdf(random_: random.Random, lines: list[str], *, picture: int, beside: Sequence[str] = ()) -> bytes:
    """Pages in a subset of a TrueType font, with a photo; `beside` is a second column on the left of the first page."""
    canvas, buffer = _canvas()
    left = 220 if beside else 40
    for start in range(0, len(lines), _LINES):
        canvas.setFont("Vera", 8)
        if start == 0:
            canvas.drawImage(_photo(random_, picture), 450, 750, 80, 80)
            for row, line in enumerate(beside):
                canvas.drawString(30, 790 - 17 * row, line[:36])
        for row, line in enumerate(lines[start : start + _LINES]):
            canvas.drawString(left, 740 - 15 * row, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _canvas() -> tuple[Canvas, io.BytesIO]:

    rl_config.useA85 = 0
    registerFont(TTFont("Vera", "Vera.ttf"))  # It comes with reportlab.
    buffer = io.BytesIO()
    return Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1), buffer


def _photo(random_: random.Random, octets: int) -> ImageReader:
    """A JPEG of about so many octets: noise, which compresses as little as a portrait of the same file size."""
    side = int((octets / 0.7) ** 0.5)
    noise = Image.frombytes("RGB", (side, side), random_.randbytes(side * side * 3))
    file = io.BytesIO()
    noise.save(file, "JPEG", quality=85)
    file.seek(0)
    return ImageReader(file)


def _docx(random_: random.Random, lines: list[str]) -> bytes:
    document = docx.Document()
    for line in lines:
        document.add_paragraph(line)
    picture = io.BytesIO()
    Image.frombytes("RGB", (90, 90), random_.randbytes(90 * 90 * 3)).save(picture, "PNG")
    picture.seek(0)
    document.add_picture(picture)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()
