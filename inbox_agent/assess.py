"""Documents × offer → what is missing, and whether it came in time (design section 4). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from inbox_agent.application import Document, DocumentKind, DocumentState, Evidence, Status, Timing
from inbox_agent.offer import DeadlineDay, Offer
from inbox_agent.wording import day_words, moment_words

if TYPE_CHECKING:
    from datetime import date

# A difference between the sender's Date and the arrival that a person should know of.
_NOTABLE_GAP = timedelta(hours=24)

_HOLDS = {
    DocumentKind.CV: frozenset({"cv"}),
    DocumentKind.LETTER: frozenset({"letter"}),
    DocumentKind.CV_AND_LETTER: frozenset({"cv", "letter"}),
    DocumentKind.OTHER: frozenset[str](),
}
# A scan is a CV all the same; what nobody can open is not received yet.
_RECEIVED = frozenset({DocumentState.READ, DocumentState.SCANNED})
_ORDER = {Timing.ON_TIME: 0, Timing.BOUNDARY: 1, Timing.LATE: 2}

# What a spontaneous application must hold: nothing was published, so only what nobody can do without.
SPONTANEOUS_REQUIRES = ("cv",)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Timing with its reasons; `notes` are French, for the digest."""

    timing: Timing | None
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()


def missing(documents: tuple[Document, ...], offer: Offer | None) -> tuple[str, ...]:
    """The required kinds that no readable or scanned document holds, in the offer's order."""
    held = {kind for document in documents if document.state in _RECEIVED for kind in _HOLDS[document.kind]}
    required = offer.required if offer else SPONTANEOUS_REQUIRES
    return tuple(kind for kind in required if kind not in held)


def status(documents: tuple[Document, ...], lacking: tuple[str, ...]) -> Status:
    """Complete, incomplete, or doubt: nobody is asked for what he sent because we did not recognise it."""
    if not lacking:
        return Status.COMPLETE
    nothing_known = all(document.kind is DocumentKind.OTHER for document in documents)
    unsure = any(_may_be_a_paper(document, nothing_known=nothing_known) for document in documents)
    return Status.DOUBT if unsure else Status.INCOMPLETE


def _may_be_a_paper(document: Document, *, nothing_known: bool) -> bool:
    """A picture of whatever was read or not; any document, where not one of all that came was recognised."""
    if document.kind is not DocumentKind.OTHER or document.state not in _RECEIVED or document.is_logo:
        return False
    pictured = document.state is DocumentState.SCANNED or document.media_type.startswith("image/")
    return pictured or nothing_known


def arrival(offer: Offer | None, received: datetime, sent: datetime | None) -> Arrival:
    """Timing of a message received at `received` (the server's word); `sent` is the sender's Date, for grace only."""
    if offer is None or (offer.deadline is None and offer.closed is None):
        return Arrival(None if offer is None else Timing.ON_TIME)
    zone = ZoneInfo(offer.timezone)
    timing = _zone_of(offer, received.astimezone(zone).date())
    notes: list[str] = []
    graced = _with_grace(offer, received, sent)
    if graced is not None and _ORDER[graced] < _ORDER[timing]:
        minutes = round((received - (sent or received)).total_seconds() / 60)
        notes.append(f"envoyée avant la limite, reçue {minutes} min plus tard : comptée à temps")
        timing = graced
    if timing is Timing.BOUNDARY:
        notes.append("reçue le jour même de la date limite")
    if offer.opens and received.astimezone(zone).date() < offer.opens:
        notes.append(f"reçue avant l'ouverture de l'offre ({day_words(offer.opens)})")
    if offer.closed and received.astimezone(zone).date() >= offer.closed:
        notes.append(f"offre close depuis le {day_words(offer.closed)}")
    return Arrival(timing, _evidence(offer, received, sent, zone), tuple(notes))


def _zone_of(offer: Offer, day: date) -> Timing:
    if offer.closed and day >= offer.closed:
        return Timing.LATE
    if offer.deadline is None or day < offer.deadline:
        return Timing.ON_TIME
    if day > offer.deadline:
        return Timing.LATE
    match offer.deadline_day:
        case DeadlineDay.LATE:
            return Timing.LATE
        case DeadlineDay.FLAGGED:
            return Timing.BOUNDARY
        case DeadlineDay.ON_TIME:
            return Timing.ON_TIME


def _with_grace(offer: Offer, received: datetime, sent: datetime | None) -> Timing | None:
    """The timing if the mail had not been held up on its way, within the offer's grace; never earlier than sent."""
    if sent is None or not offer.grace_minutes or sent > received:
        return None
    effective = max(sent, received - timedelta(minutes=offer.grace_minutes))
    if effective != sent:
        return None
    return _zone_of(offer, sent.astimezone(ZoneInfo(offer.timezone)).date())


def _evidence(offer: Offer, received: datetime, sent: datetime | None, zone: ZoneInfo) -> tuple[Evidence, ...]:
    limit = f", date limite : {day_words(offer.deadline)}" if offer.deadline else ""
    found = [Evidence("received_at", f"reçu le {moment_words(received.astimezone(zone))}{limit}", 0.0)]
    if sent is not None and abs(received - sent) >= _NOTABLE_GAP:
        hours = round((received - sent).total_seconds() / 3600)
        local = moment_words(sent.astimezone(zone))
        found.append(Evidence("date_gap", f"l'expéditeur date son message du {local}, soit {hours:+d} h d'écart", 0.0))
    return tuple(found)
