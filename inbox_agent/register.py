"""The register of an offer, `suivi.xlsx`: a sheet that staff may copy, sort and print.

What a stranger wrote is text and nothing else: no formula, link or number is ever made of it. The same rows give
the same octets (constant metadata), so that an unchanged register is not written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import xlsxwriter

from inbox_agent import listing
from inbox_agent.wording import visible

if TYPE_CHECKING:
    from datetime import date

    from inbox_agent.listing import ApplicationRow

_CREATED = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # constant, for equal octets
_CELL_CAP = 500  # characters; Excel's own limit is 32,767
_LINK_CAP = 2000  # characters; Excel refuses files with links over 2,079

_COLUMNS = (
    ("N°", 7),
    ("Nom", 28),
    ("Adresse", 32),
    ("Reçue le", 17),
    ("Délai", 18),
    ("État", 14),
    ("Pièces", 34),
    ("Manque", 16),
    ("Réponse", 24),
    ("Réponse le", 17),
    ("Remarques", 44),
    ("Dossier", 18),
)
_TIMING_WORDS = {"on_time": "dans les délais", "boundary": "jour limite", "late": "hors délai", None: ""}


@dataclass(frozen=True, slots=True)
class Register:
    """One offer's rows, in the order in which they are written.

    `base` is the folder of the register inside the archive (an offer id): links to folders are relative to it.
    """

    title: str
    deadline: date | None
    base: str
    rows: tuple[ApplicationRow, ...]


def render_register(view: Register) -> bytes:
    """The workbook's octets."""
    target = BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "default_date_format": "dd/mm/yyyy hh:mm",
        "remove_timezone": True,
    }
    book = xlsxwriter.Workbook(target, options)
    book.set_properties({"title": _text(view.title), "created": _CREATED})
    sheet = book.add_worksheet("Candidatures")
    _head(book, sheet, view)
    for line, row in enumerate(view.rows, start=2):
        _write_row(book, sheet, line, row, view.base)
    sheet.autofilter(1, 0, max(1 + len(view.rows), 1), len(_COLUMNS) - 1)
    book.close()
    return target.getvalue()


def _head(book: Any, sheet: Any, view: Register) -> None:
    sheet.set_default_row(18)
    title = book.add_format({"bold": True, "font_size": 14, "valign": "vcenter"})
    heading = book.add_format(
        {"bold": True, "font_color": "#FFFFFF", "bg_color": "#15524D", "valign": "vcenter", "border": 1}
    )
    sheet.set_row(0, 26)
    sheet.set_row(1, 22)
    sheet.write_string(0, 0, _text(view.title), title)
    if view.deadline is not None:
        sheet.write_string(0, 6, "Date limite :", book.add_format({"align": "right", "valign": "vcenter"}))
        day = book.add_format({"num_format": "dd/mm/yyyy", "align": "left", "valign": "vcenter"})
        sheet.write_datetime(0, 7, datetime(view.deadline.year, view.deadline.month, view.deadline.day), day)  # noqa: DTZ001, a cell has no zone.
    for column, (words, width) in enumerate(_COLUMNS):
        sheet.set_column(column, column, width)
        sheet.write_string(1, column, words, heading)
    sheet.freeze_panes(2, 2)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(1)


def _write_row(book: Any, sheet: Any, line: int, row: ApplicationRow, base: str) -> None:
    sheet.write_number(line, 0, row.number)
    texts = {
        1: row.name,
        2: row.address or "",
        4: _TIMING_WORDS[None if row.timing is None else row.timing.value],
        5: listing.STATE_WORDS[row.state],
        6: listing.pieces_words(row),
        7: listing.missing_words(row),
        8: listing.REPLY_WORDS[row.reply],
        10: " ; ".join((*row.notes, *([row.reply_reason] if row.reply_reason else []))),
    }
    for column, words in texts.items():
        if words:
            sheet.write_string(line, column, _text(words))
    for column, moment in ((3, row.received_at), (9, row.reply_at)):
        if moment is not None:
            sheet.write_datetime(line, column, moment.replace(tzinfo=None))
    link = None if row.folder is None else _link(row.folder, base)
    if link is not None:
        sheet.write_url(line, 11, link, book.get_default_url_format(), "Ouvrir le dossier")


def _link(folder: str, base: str) -> str | None:
    """A link to a folder relative to the register's own, None for one that Excel would refuse."""
    inside = folder.removeprefix(f"{base}/")
    path = inside if inside != folder else f"../{folder}"
    link = "external:" + quote(path, errors="replace") + "/"
    return link if len(link) <= _LINK_CAP else None


def _text(words: str) -> str:
    return visible(words, _CELL_CAP)
