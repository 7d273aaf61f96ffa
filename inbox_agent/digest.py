"""One mail a day to the staff: first what a person must do, then what came, then how the agent is.

Pure. The chief promise behind it: what the agent cannot judge, a person sees today, by name; and nothing is
said of a message that is no application but when it came and for which offer.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from inbox_agent import listing
from inbox_agent.message import Address
from inbox_agent.outgoing import Outgoing, compose, date_header, is_addr_spec, is_message_id
from inbox_agent.templates import fill
from inbox_agent.wording import NBSP, count_words, day_words, french_spaces, visible

if TYPE_CHECKING:
    from datetime import date, datetime

    from inbox_agent.listing import ApplicationRow, OfferState
    from inbox_agent.templates import Templates

_LISTED = 40  # rows shown in one section; Gmail cuts a mail off at 102 kB
_CLOSED_SHOWN = 30  # days for which a closed offer still appears
_CHART_DAYS = 14  # columns of the chart of arrivals: they fit a telephone


@dataclass(frozen=True, slots=True)
class LikelyAnswer:
    """One of the two answers offered for a doubt: `command` is what to send ("oui 12"), `meaning` what it does."""

    command: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """A message that waits in "À vérifier". `reason` is French."""

    number: int
    name: str | None
    address: str | None
    received_at: datetime
    reason: str
    likely: tuple[LikelyAnswer, ...]


@dataclass(frozen=True, slots=True)
class UncertainReply:
    """A reply that failed, or of which nobody knows whether it left. `what` says what to do (French)."""

    number: int
    name: str
    address: str
    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message that could not be read three times. Only when it came, its size in octets and why (French)."""

    number: int
    received_at: datetime
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class DraftWaiting:
    """A reply that waits in the Drafts folder. `what` says which ("pièces manquantes")."""

    number: int
    name: str
    offer_title: str | None
    what: str
    since: datetime


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A message that added to an earlier application. `what` is French ("lettre reçue : dossier complet")."""

    row: ApplicationRow
    what: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An application without a reply, and why (French)."""

    number: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Enquiry:
    """A question to answer, left in the mailbox: nothing of it but its time and offer."""

    received_at: datetime
    offer_title: str | None


@dataclass(frozen=True, slots=True)
class Correction:
    """What staff changed by moving a message or answering the digest, and what the agent did (French)."""

    number: int
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Purge:
    """Applications that will be deleted on `day`, and messages in doubt that nobody looked at."""

    day: date
    count: int
    offer_title: str | None
    doubts: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """Every message in scope is in exactly one place (design section 8)."""

    messages: int
    filed: int
    left: int
    doubt: int
    quarantined: int
    pending: int

    @property
    def holds(self) -> bool:
        """Whether the sum is right; if not, something was lost and the digest says so first."""
        return self.messages == self.filed + self.left + self.doubt + self.quarantined + self.pending


@dataclass(frozen=True, slots=True)
class Health:
    """How the agent is. `last_poll` is the last good one, None: never. `errors` are French sentences."""

    last_poll: datetime | None
    balance: Balance
    errors: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing here needs a person."""
        return self.last_poll is not None and self.balance.holds and not self.errors


@dataclass(frozen=True, slots=True)
class Digest:
    """A day. Times are in the organisation's zone; `new` are the applications that came, `offers` all open ones.

    `archive` is how staff reach the archive: a web prefix ("https://…"), a drive or a folder, None: paths alone.
    `can_answer` is whether an answer such as "oui 12" is believed at all (it needs a trusted server).
    """

    day: date
    organisation: str
    generated_at: datetime
    health: Health
    doubts: tuple[Doubt, ...] = ()
    uncertain: tuple[UncertainReply, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    drafts: tuple[DraftWaiting, ...] = ()
    new: tuple[ApplicationRow, ...] = ()
    follow_ups: tuple[FollowUp, ...] = ()
    offers: tuple[OfferState, ...] = ()
    unanswered: tuple[Unanswered, ...] = ()
    enquiries: tuple[Enquiry, ...] = ()
    withdrawals: tuple[ApplicationRow, ...] = ()
    corrections: tuple[Correction, ...] = ()
    purges: tuple[Purge, ...] = ()
    archive: str | None = None
    can_answer: bool = True

    @property
    def empty(self) -> bool:
        """Whether the day brought nothing that anybody needs to read: the heartbeat form."""
        return self.health.well and not any(
            (
                self.doubts,
                self.uncertain,
                self.quarantined,
                self.drafts,
                self.new,
                self.follow_ups,
                self.unanswered,
                self.enquiries,
                self.withdrawals,
                self.corrections,
            )
        )


def render_digest(  # noqa: PLR0913, each is a header or what is headed.
    view: Digest,
    templates: Templates,
    *,
    message_id: str,
    sent_at: datetime,
    sender: Address,
    recipient: str,
    list_id: str,
    envelope_from: str = "",
) -> Outgoing:
    """The mail to one member of staff: text and HTML that say the same.

    `list_id` is of RFC 2919, without brackets ("candidatures.villesaucarre.org"). Raises as `reply.render` does.
    """
    if not is_addr_spec(recipient) or not is_message_id(message_id):
        raise ValueError("the recipient or the Message-ID of a digest cannot be written in a header")
    headers: list[tuple[str, str | Address]] = [
        ("From", sender),
        ("To", Address("", recipient)),
        ("Subject", subject(view)),
        ("Date", date_header(sent_at)),
        ("Message-ID", message_id),
        ("List-Id", f"<{list_id}>"),
        ("Auto-Submitted", "auto-generated"),
        ("X-Auto-Response-Suppress", "All"),
    ]
    octets = compose(headers, text=text(view, templates), html=html(view, templates))
    return Outgoing(envelope_from, recipient, message_id, octets)


def subject(view: Digest) -> str:
    """Say it all: "Candidatures du mardi 13 février : 3 nouvelles, 1 à vérifier"."""
    return f"Candidatures du {day_words(view.day, weekday=True, year=False)}{NBSP}: {summary(view)}"


def summary(view: Digest) -> str:
    """Say "3 nouvelles, 1 à vérifier", or "rien de nouveau"."""
    parts = [
        count_words(len(view.new), "nouvelle") if view.new else "",
        count_words(len(view.follow_ups), "complément") if view.follow_ups else "",
        f"{len(view.doubts)}{NBSP}à{NBSP}vérifier" if view.doubts else "",
        count_words(len(view.uncertain), "réponse à contrôler", "réponses à contrôler") if view.uncertain else "",
        f"{len(view.quarantined)} illisible{'s' if len(view.quarantined) > 1 else ''}" if view.quarantined else "",
        count_words(len(view.drafts), "brouillon") if view.drafts else "",
        count_words(len(view.enquiries), "question") if view.enquiries else "",
        "" if view.health.well else "relève à contrôler",
    ]
    return ", ".join(part for part in parts if part) or "rien de nouveau"


def html(view: Digest, templates: Templates) -> str:
    """The HTML part alone, as `digest --preview` shows it."""
    return templates.render("fr/digest.html.j2", _shown(view), **variables(view))


def text(view: Digest, templates: Templates) -> str:
    """The text part alone, at most 72 columns."""
    return fill(templates.render("fr/digest.txt.j2", _shown(view), **variables(view)))


def variables(view: Digest) -> dict[str, Any]:
    """What the templates may use beside the fields of the view."""
    return {
        "subject": subject(view),
        "said": summary(view),
        "listed": _LISTED,
        "groups": _groups(view),
        "charts": {state.id: chart(state, view.day) for state in view.offers},
        "listing": {
            name: getattr(listing, name)
            for name in (
                "STATE_WORDS",
                "REPLY_WORDS",
                "pieces_words",
                "missing_words",
                "share_words",
                "days_left_words",
                "SPONTANEOUS",
            )
        },
        "link": lambda path: listing.web_link(view.archive, path),
        "place": lambda path: listing.shown_path(view.archive, path),
        "empty": view.empty,
        "current": tuple(offer for offer in _shown(view).offers if (offer.days_left or 0) >= -_CLOSED_SHOWN),
    }


def _groups(view: Digest) -> tuple[tuple[str, tuple[ApplicationRow, ...]], ...]:
    """The day's applications by offer, under the offer's title, in the offers' order."""
    titles = {state.id: visible(state.title, 200) for state in view.offers}
    for row in view.new:
        titles.setdefault(row.offer, listing.SPONTANEOUS if row.offer is None else visible(row.offer))
    shown = _shown(view).new
    groups = ((title, tuple(row for row in shown if row.offer == id_)) for id_, title in titles.items())
    return tuple((title, rows) for title, rows in groups if rows)


def chart(state: OfferState, last: date) -> tuple[tuple[date, int], ...]:
    """Arrivals of the last fourteen days up to `last`, days without any included."""
    counts = dict(state.arrivals)
    days = [last - timedelta(days=_CHART_DAYS - 1 - step) for step in range(_CHART_DAYS)]
    return tuple((day, counts.get(day, 0)) for day in days)


def _shown(view: Digest) -> Digest:
    """The same day with every text made safe to show: one line, controls gone, directions visible, capped."""
    fields = {
        field.name: _safe(getattr(view, field.name)) for field in dataclasses.fields(view) if field.name != "archive"
    }
    return dataclasses.replace(view, **fields)


def _safe(value: Any) -> Any:
    match value:
        case str() if type(value) is str:
            return visible(value, 200)
        case tuple():
            return tuple(_safe(item) for item in value)
        case listing.FiledPiece() | listing.ApplicationRow():
            kept = {"folder", "path", "kind", "state"}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            kept = {"id"}
        case _:
            return value
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    safe = {name: _safe(item) for name, item in fields.items() if name not in kept}
    return dataclasses.replace(
        value, **{name: _french(item) if name in _SENTENCES else item for name, item in safe.items()}
    )


# The fields that hold the agent's own French, not a stranger's words.
_SENTENCES = frozenset({"reason", "what", "meaning", "notes", "errors", "reply_reason"})


def _french(value: Any) -> Any:
    match value:
        case str():
            return french_spaces(value)
        case tuple():
            return tuple(_french(item) for item in value)
        case _:
            return value
