"""Applications and offers as staff see them: the rows that digest, board and register share.

The words are French: the readers are the staff. Times are aware and already in the zone they are shown in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote

from inbox_agent.application import DocumentKind, Status, Timing
from inbox_agent.wording import NBSP, count_words, enumeration, thousands, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from inbox_agent.offer import Offer

SPONTANEOUS = "Candidatures spontanées"


class ReplyState(StrEnum):
    """What became of the reply to an application."""

    NONE = "none"
    DRAFT = "draft"
    DELETED = "deleted"
    PENDING = "pending"
    SENT = "sent"
    IN_DOUBT = "in_doubt"
    FAILED = "failed"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True)
class FiledPiece:
    """One document of an application. `kind` and `state` are values of DocumentKind and DocumentState.

    `path` is relative to the archive's root, with "/", None when nothing was filed.
    """

    kind: str
    state: str
    name: str
    path: str | None = None
    pages: int | None = None


@dataclass(frozen=True, slots=True)
class ApplicationRow:
    """One application. `number` is how people name it ("oui 12"); `offer` an offer id, None: spontaneous.

    `folder` is relative to the archive's root. `reply` is the state of the latest reply, `reply_at` when it was
    sent, `reply_reason` why there is none (French). `notes` are French sentences for staff.
    """

    number: int
    offer: str | None
    name: str
    address: str | None
    received_at: datetime
    timing: Timing | None
    status: Status | None
    pieces: tuple[FiledPiece, ...]
    missing: tuple[str, ...]
    folder: str | None
    reply: ReplyState = ReplyState.NONE
    reply_at: datetime | None = None
    reply_reason: str | None = None
    notes: tuple[str, ...] = ()
    withdrawn: bool = False

    @property
    def state(self) -> str:
        """The one word to filter by: withdrawn, doubt, late, incomplete or complete, in this order of weight."""
        if self.withdrawn:
            return "withdrawn"
        if self.status is Status.DOUBT:
            return "doubt"
        if self.timing is Timing.LATE:
            return "late"
        return "incomplete" if self.status is Status.INCOMPLETE else "complete"


@dataclass(frozen=True, slots=True)
class OfferState:
    """One offer's numbers. `days_left` is negative once the deadline is past; `arrivals` are (day, count), ascending.

    `id` None gathers the spontaneous applications. `total` counts all, withdrawn ones included.
    """

    id: str | None
    title: str
    deadline: date | None
    days_left: int | None
    total: int
    complete: int
    incomplete: int
    late: int
    doubt: int
    withdrawn: int
    arrivals: tuple[tuple[date, int], ...]


STATE_WORDS = {
    "complete": "complète",
    "incomplete": "incomplète",
    "late": "hors délai",
    "doubt": "à vérifier",
    "withdrawn": "retirée",
}
REPLY_WORDS = {
    ReplyState.NONE: "sans réponse",
    ReplyState.DRAFT: "brouillon à relire",
    ReplyState.DELETED: "brouillon supprimé",
    ReplyState.PENDING: "en attente d’envoi",
    ReplyState.SENT: "envoyée",
    ReplyState.IN_DOUBT: "envoi incertain",
    ReplyState.FAILED: "refusée par le serveur",
    ReplyState.BOUNCED: "revenue : adresse injoignable",
}
KIND_WORDS = {"cv": "CV", "letter": "lettre", "cv_and_letter": "CV et lettre", "other": "autre document"}
TROUBLE_WORDS = {
    "scanned": "image",
    "locked": "mot de passe",
    "damaged": "endommagé",
    "empty": "vide",
    "unsupported": "format non lu",
    "refused": "non ouvert par sécurité",
}


def piece_words(piece: FiledPiece) -> str:
    """Say "CV", "lettre (mot de passe)"."""
    kind = KIND_WORDS.get(piece.kind, piece.kind)
    trouble = TROUBLE_WORDS.get(piece.state)
    return kind if trouble is None else f"{kind} ({trouble})"


def pieces_words(row: ApplicationRow) -> str:
    """Say "CV, lettre (image) et 2 autres documents", or "aucun document"."""
    main = [piece_words(piece) for piece in row.pieces if piece.kind != DocumentKind.OTHER.value]
    others = [piece for piece in row.pieces if piece.kind == DocumentKind.OTHER.value]
    if len(others) == 1:
        main.append(piece_words(others[0]))
    elif others:
        main.append(f"{len(others)} autres documents")
    return enumeration(main) or "aucun document"


def missing_words(row: ApplicationRow) -> str:
    """Say "CV et lettre" of what is missing; empty when nothing is."""
    return enumeration([KIND_WORDS.get(kind, kind) for kind in row.missing])


def offer_states(offers: Sequence[Offer], rows: Sequence[ApplicationRow], today: date) -> tuple[OfferState, ...]:
    """One state per offer in the order given, then spontaneous applications and offers no longer configured."""
    by_offer: dict[str | None, list[ApplicationRow]] = {}
    for row in rows:
        by_offer.setdefault(row.offer, []).append(row)
    states = [
        _offer_state(offer.id, offer.title, offer.deadline, by_offer.pop(offer.id, []), today) for offer in offers
    ]
    spontaneous = by_offer.pop(None, [])
    states += [_offer_state(id_, id_ or "", None, kept, today) for id_, kept in sorted(by_offer.items(), key=str)]
    if spontaneous:
        states.append(_offer_state(None, SPONTANEOUS, None, spontaneous, today))
    return tuple(states)


def _offer_state(
    id_: str | None, title: str, deadline: date | None, rows: Sequence[ApplicationRow], today: date
) -> OfferState:
    states = Counter(row.state for row in rows)
    days = Counter(row.received_at.date() for row in rows)
    return OfferState(
        id=id_,
        title=title,
        deadline=deadline,
        days_left=None if deadline is None else (deadline - today).days,
        total=len(rows),
        complete=states["complete"],
        incomplete=states["incomplete"],
        late=states["late"],
        doubt=states["doubt"],
        withdrawn=states["withdrawn"],
        arrivals=tuple(sorted(days.items())),
    )


def share_words(state: OfferState) -> str:
    """Say "6 complètes, 1 hors délai" of what an offer has got; empty when it has got nothing."""
    counted = [
        count_words(state.complete, "complète") if state.complete else "",
        count_words(state.incomplete, "incomplète") if state.incomplete else "",
        f"{thousands(state.late)}{NBSP}hors{NBSP}délai" if state.late else "",
        f"{thousands(state.doubt)}{NBSP}à{NBSP}vérifier" if state.doubt else "",
        count_words(state.withdrawn, "retirée") if state.withdrawn else "",
    ]
    return ", ".join(words for words in counted if words)


def days_left_words(state: OfferState) -> str:
    """Say "encore 3 jours", "date limite aujourd’hui", "close depuis 2 jours"."""
    match state.days_left:
        case None:
            return "sans date limite"
        case 0:
            return "date limite aujourd’hui"
        case 1:
            return "encore 1 jour"
        case days if days > 1:
            return f"encore {days} jours"
        case -1:
            return "close depuis hier"
        case days:
            return f"close depuis {-days} jours"


def web_link(prefix: str | None, path: str | None) -> str | None:
    """The address of `path` under a web prefix, None when there is no prefix that a mail may link to."""
    if prefix is None or path is None or not prefix.lower().startswith(("https://", "http://", "file://")):
        return None
    return f"{prefix.rstrip('/')}/{quote(path)}"


def shown_path(root: str | None, path: str | None) -> str | None:
    r"""The place in words for people: under `root` (a drive, "\\nas\dossier", a folder) in its own way of writing."""
    if path is None:
        return None
    if not root or web_link(root, path) is not None:
        return visible(path, 200)
    separator = "\\" if "\\" in root else "/"
    return visible(root.rstrip("/\\") + separator + path.replace("/", separator), 300)
