"""The staff's board: `index.html` at the root of the archive, one file that needs nothing else.

It opens from a shared drive, without a server, a network or a script from elsewhere: the Content-Security-Policy names
the one script and the one style by their hashes. Without a script it still is the whole table.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from inbox_agent import listing
from inbox_agent.application import DocumentKind
from inbox_agent.wording import NBSP, clock_words, count_words, day_words, french_spaces, thousands, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from inbox_agent.listing import ApplicationRow, FiledPiece, OfferState
    from inbox_agent.templates import Templates

_CLOSED_SHOWN = 30  # days for which a closed offer still stands with the open ones
_CHART_DAYS = 45  # columns of a chart at most: the weeks in which an offer is open
_CHART_WIDTH, _CHART_HEIGHT = 270, 48  # units of the SVG's own space


@dataclass(frozen=True, slots=True)
class Board:
    """What the board shows. `generated_at` is aware, in the organisation's zone; its date is "today"."""

    organisation: str
    generated_at: datetime
    offers: tuple[OfferState, ...]
    rows: tuple[ApplicationRow, ...]


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file to open: `href` is relative to the board, None when there is no file. `words` say what it is."""

    words: str
    name: str
    href: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table, ready to write: every text is safe to show, every link relative."""

    number: int
    name: str
    address: str | None
    offer: str
    offer_key: str
    received: str
    received_key: str
    boundary: bool
    state: str
    state_words: str
    files: tuple[FileLink, ...]
    missing: str
    folder: str | None
    reply: str
    reply_words: str
    reply_detail: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of a chart, in the units of its SVG."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Panel:
    """An offer's card."""

    key: str
    title: str
    deadline: str
    closed: bool
    total: int
    shares: tuple[tuple[str, str, int], ...]
    bars: tuple[Bar, ...]
    chart_words: str


def render_board(view: Board, templates: Templates) -> bytes:
    """The whole file, UTF-8. Cost: about 0.2 s for 2,000 applications; of 10,000 the text alone would be 50 MB."""
    written = BytesIO()
    for piece in templates.pieces("fr/board.html.j2", view, **variables(view, templates)):
        written.write(piece.encode())
    return written.getvalue()


def variables(view: Board, templates: Templates) -> dict[str, Any]:
    """What the template may use beside the fields of the view."""
    style = templates.environment.get_template("fr/_board.css.j2").render()
    script = templates.environment.get_template("fr/_board.js.j2").render()
    titles: dict[str | None, str] = {offer.id: visible(offer.title, 200) for offer in view.offers}
    panels = tuple(_panel(offer, view.generated_at.date()) for offer in view.offers)
    return {
        "style": Markup(style),  # noqa: S704, our own file, no variable in it.
        "script": Markup(script),  # noqa: S704, the same.
        "policy": _policy(style, script),
        "panels": tuple(panel for panel in panels if not panel.closed),
        "closed": tuple(panel for panel in panels if panel.closed),
        "lines": tuple(_line(row, titles, view.generated_at.year) for row in sorted(view.rows, key=_latest)),
        "choices": _choices(view),
        "counts": _counts(view.rows),
        "states": listing.STATE_WORDS,
        "replies": {state.value: words for state, words in listing.REPLY_WORDS.items()},
    }


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded, run or sent but the two texts inside the file."""
    return (
        f"default-src 'none'; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _source_hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def relative_link(path: str | None) -> str | None:
    """A path of the archive as a link from its root: never a scheme, never out of the archive."""
    if path is None or path.startswith("/") or ".." in path.split("/"):
        return None
    return "./" + quote(path, errors="replace")


def _latest(row: ApplicationRow) -> tuple[float, int]:
    """Sorts the latest first."""
    return -row.received_at.timestamp(), -row.number


def _line(row: ApplicationRow, titles: dict[str | None, str], year: int) -> Line:
    """`year` is the one that goes without saying."""
    offer = titles.get(row.offer) or (listing.SPONTANEOUS if row.offer is None else visible(row.offer))
    return Line(
        number=row.number,
        name=visible(row.name) or "sans nom",
        address=None if row.address is None else visible(row.address),
        offer=offer,
        offer_key=_key(row.offer),
        received=_moment(row.received_at, year),
        received_key=row.received_at.isoformat(),
        boundary=row.timing == "boundary",
        state=row.state,
        state_words=listing.STATE_WORDS[row.state],
        files=tuple(_file(piece) for piece in row.pieces),
        missing=listing.missing_words(row),
        folder=relative_link(row.folder + "/") if row.folder else None,
        reply=row.reply.value,
        reply_words=listing.REPLY_WORDS[row.reply],
        reply_detail=_reply_detail(row, year),
        notes=tuple(french_spaces(visible(note, 200)) for note in row.notes),
    )


def _file(piece: FiledPiece) -> FileLink:
    """A CV or a letter is called so, anything else by its name."""
    words = listing.piece_words(piece)
    if piece.kind == DocumentKind.OTHER.value:
        words = visible(piece.name, 40) or words
    return FileLink(words, visible(piece.name), relative_link(piece.path))


def _reply_detail(row: ApplicationRow, year: int) -> str:
    if row.reply_at is not None:
        return _moment(row.reply_at, year)
    return "" if row.reply_reason is None else french_spaces(visible(row.reply_reason, 200))


def _moment(moment: datetime, year: int) -> str:
    return f"{day_words(moment, year=moment.year != year)}, {clock_words(moment)}"


def _key(offer: str | None) -> str:
    """What a row and a choice have in common: an offer id holds no space, so none is taken for "spontaneous"."""
    return "spontanées hors offre" if offer is None else re.sub(r"[^A-Za-z0-9._-]", "_", offer)


def _choices(view: Board) -> tuple[tuple[str, str], ...]:
    """Offers to filter by: those configured, then those that only rows name."""
    known = {_key(offer.id): visible(offer.title, 200) for offer in view.offers}
    for row in view.rows:
        known.setdefault(_key(row.offer), listing.SPONTANEOUS if row.offer is None else visible(row.offer))
    return tuple(known.items())


def _counts(rows: Sequence[ApplicationRow]) -> tuple[tuple[str, str, str], ...]:
    """State, number and word of each tile; the first is the total."""
    tiles = [("", thousands(len(rows)), _plural("candidature", len(rows)))]
    for state, word in listing.STATE_WORDS.items():
        number = sum(row.state == state for row in rows)
        if number:
            tiles.append((state, thousands(number), word if state in {"doubt", "late"} else _plural(word, number)))
    return tuple(tiles)


def _plural(word: str, number: int) -> str:
    return count_words(number, word).rpartition(NBSP)[2]


def _panel(offer: OfferState, today: date) -> Panel:
    shares = tuple(
        (state, listing.STATE_WORDS[state], getattr(offer, state))
        for state in listing.STATE_WORDS
        if getattr(offer, state)
    )
    bars, words = _bars(offer, today)
    return Panel(
        key=_key(offer.id),
        title=visible(offer.title, 200),
        deadline=listing.days_left_words(offer).capitalize()
        if offer.deadline is None
        else f"Date limite{NBSP}: {day_words(offer.deadline)} ({listing.days_left_words(offer)})",
        closed=offer.days_left is not None and offer.days_left < -_CLOSED_SHOWN,
        total=offer.total,
        shares=shares,
        bars=bars,
        chart_words=words,
    )


def _bars(offer: OfferState, today: date) -> tuple[tuple[Bar, ...], str]:
    """Arrivals by day from the first one to today (or to the last one of a closed offer), and the chart in words."""
    if not offer.arrivals:
        return (), "Aucune arrivée"
    counts = dict(offer.arrivals)
    last = max(counts) if offer.days_left is not None and offer.days_left < 0 else max(today, *counts)
    first = max(min(counts), last - timedelta(days=_CHART_DAYS - 1))
    days = [first + timedelta(days=step) for step in range((last - first).days + 1)]
    top = max(counts.get(day, 0) for day in days) or 1
    step = min(_CHART_WIDTH / len(days), 18)
    bars = []
    for column, day in enumerate(days):
        number = counts.get(day, 0)
        height = max(number / top * (_CHART_HEIGHT - 2), 1.5)
        words = f"{day_words(day, year=False)}{NBSP}: {number}"
        x, y = round(column * step, 2), round(_CHART_HEIGHT - height, 2)
        bars.append(Bar(x, y, round(max(step - 1.5, 1), 2), round(height, 2), words))
    if first == last:
        return tuple(bars), f"Arrivées du {day_words(first, year=False)}{NBSP}: {top}"
    span = f"du {day_words(first, year=False)} au {day_words(last, year=False)}"
    return tuple(bars), f"Arrivées {span} (au plus {top} par jour)"
