"""A reply as octets: the decision's words for the candidate, headed as RFC 3834 wants.

Pure: no clock, no file, no network. What a stranger wrote is shown only as a file name or a name, made
harmless first: the person we answer may not be the one who wrote (reliability.md threat 5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inbox_agent.application import DocumentKind, DocumentState, Where
from inbox_agent.message import Address
from inbox_agent.offer import DeadlineDay
from inbox_agent.outgoing import (
    Outgoing,
    compose,
    date_header,
    is_addr_spec,
    is_message_id,
    thread_headers,
)
from inbox_agent.templates import fill
from inbox_agent.wording import visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from inbox_agent.application import Candidate, Document, Timing
    from inbox_agent.decision import Reply
    from inbox_agent.offer import Offer
    from inbox_agent.templates import Templates

LANGUAGES = ("fr", "en")
_FILE_CAP = 60  # characters of a file name in a reply: it stays on one line of 72
_LISTED = 12  # files named in a reply; the rest is counted


@dataclass(frozen=True, slots=True)
class Privacy:
    """What the notice of RGPD article 13 needs to know; its words are in `_notice.txt.j2`.

    `contact` is where rights are exercised; `recipients` completes "destinées à"; `retention_months` counts
    from the last contact, None: for as long as the recruitment takes.
    """

    controller: str
    contact: str
    recipients: str | None = None
    retention_months: int | None = None


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who answers. `signature` are the lines under "Cordialement"; `next_steps` is a sentence somebody vouches for."""

    name: str
    signature: tuple[str, ...]
    privacy: Privacy
    contact: str | None = None
    next_steps: str | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A document in a reply. `kind` is cv, letter, cv_and_letter or other; `trouble` is why it cannot be read.

    `trouble` is locked, damaged, empty, unsupported, refused or None. `file` is None for a text in the body.
    """

    kind: str
    file: str | None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyView:
    """All that a reply's template may say: its fields are the template's variables.

    `candidate` is None where the name is unknown or does not look like one. `title` None: spontaneous.
    `received` are the readable pieces of this message, `dossier` those of the whole application, `unlisted` and
    `dossier_unlisted` how many more there are. `unreadable` ask to be sent again. `missing` holds kinds ("cv",
    "letter"). `services` are names of sharing services whose links stand for files; "" is one we do not know.
    `until` is the last day that the offer names, None when there is none or when it is no longer before us;
    `until_included` says whether that day itself counts for sure.
    """

    language: str
    organisation: Organisation
    candidate: str | None
    title: str | None
    reference: str | None
    received_at: datetime
    timing: Timing | None
    received: tuple[Piece, ...]
    dossier: tuple[Piece, ...]
    unlisted: int
    dossier_unlisted: int
    unreadable: tuple[Piece, ...]
    missing: tuple[str, ...]
    services: tuple[str, ...]
    deadline: date | None
    until: date | None
    until_included: bool
    contact: str | None
    next_steps: str | None


def render(  # noqa: PLR0913, each is a header or what is headed.
    reply: Reply,
    view: ReplyView,
    templates: Templates,
    *,
    message_id: str,
    sent_at: datetime,
    sender: Address,
    reference: str,
    envelope_from: str = "",
    reply_to: Address | None = None,
) -> Outgoing:
    """The reply's octets. `reference` is what X-Inbox-Agent-Ref says.

    Raises ValueError for a recipient or Message-ID that cannot be written, HeaderMismatchError for a bug of ours,
    jinja2.TemplateError for a template that `check_templates` would have refused.
    """
    if not is_addr_spec(reply.to) or not is_message_id(message_id):
        raise ValueError("the recipient or the Message-ID of a reply cannot be written in a header")
    headers: list[tuple[str, str | Address]] = [
        ("From", sender),
        ("To", Address("", reply.to)),
        *([("Reply-To", reply_to)] if reply_to is not None else []),
        ("Subject", reply.subject),
        ("Date", date_header(sent_at)),
        ("Message-ID", message_id),
        *thread_headers(reply.in_reply_to, reply.references),
        ("Auto-Submitted", "auto-replied"),
        ("X-Auto-Response-Suppress", "All"),
        ("X-Inbox-Agent-Ref", reference),
    ]
    text = render_text(reply.template, view, templates)
    return Outgoing(envelope_from, reply.to, message_id, compose(headers, text=text, flowed=True))


def render_text(template: str, view: ReplyView, templates: Templates) -> str:
    """The words alone, at most 72 columns, soft line breaks as RFC 3676 marks them."""
    return fill(templates.render(f"{view.language}/{template}.txt.j2", view), flowed=True)


def reply_view(  # noqa: PLR0913, the facts of a decision, by name.
    *,
    organisation: Organisation,
    candidate: Candidate | None,
    offer: Offer | None,
    language: str,
    received_at: datetime,
    timing: Timing | None,
    documents: Sequence[Document],
    missing: Sequence[str],
    earlier: Sequence[Document] = (),
    links: Sequence[str] = (),
) -> ReplyView:
    """The view of a decision. `received_at` is aware, in the offer's zone; `earlier` are the pieces filed before."""
    received, before = _pieces(documents), _pieces(earlier)
    readable = _readable(received)
    dossier = _readable((*before, *received))
    unreadable = _wanted_again(received, before, missing)
    until = _until(offer, received_at)
    return ReplyView(
        language=language if language in LANGUAGES else "fr",
        organisation=organisation,
        candidate=None if candidate is None else salutation(candidate.name),
        title=None if offer is None else visible(offer.title, 200),
        reference=None if offer is None or offer.reference is None else visible(offer.reference),
        received_at=received_at,
        timing=timing,
        received=readable[:_LISTED],
        dossier=dossier[:_LISTED],
        unlisted=max(0, len(readable) - _LISTED),
        dossier_unlisted=max(0, len(dossier) - _LISTED),
        unreadable=unreadable[:_LISTED],
        missing=tuple(kind for kind in missing if kind not in {piece.kind for piece in unreadable}),
        services=services(links),
        deadline=None if offer is None else offer.deadline,
        until=until,
        until_included=offer is not None and offer.deadline_day is DeadlineDay.ON_TIME,
        contact=(offer.contact if offer is not None else None) or organisation.contact,
        next_steps=organisation.next_steps,
    )


def with_retention(organisation: Organisation, offer: Offer | None) -> Organisation:
    """The organisation as this offer has it: its own retention goes before the general one."""
    if offer is None or offer.retention_months is None:
        return organisation
    return replace(organisation, privacy=replace(organisation.privacy, retention_months=offer.retention_months))


def _pieces(documents: Sequence[Document]) -> tuple[Piece, ...]:
    return tuple(
        Piece(
            kind=document.kind.value,
            file=None if document.where is Where.BODY else shown_file(document.name),
            trouble=None if document.state in {DocumentState.READ, DocumentState.SCANNED} else document.state.value,
        )
        for document in documents
        if not document.is_logo
    )


def _readable(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Each piece once, however often it was sent."""
    return tuple(dict.fromkeys(piece for piece in pieces if piece.trouble is None))


def _wanted_again(received: Sequence[Piece], before: Sequence[Piece], missing: Sequence[str]) -> tuple[Piece, ...]:
    """The unreadable files that matter.

    Of this message: all while something is missing, else the required ones. Of earlier ones: those that are still
    missing and were not sent again.
    """
    troubled = [piece for piece in received if piece.trouble and (missing or piece.kind != DocumentKind.OTHER.value)]
    again = {piece.kind for piece in received}
    troubled += [piece for piece in before if piece.trouble and piece.kind in missing and piece.kind not in again]
    return tuple(dict.fromkeys(troubled))


def _until(offer: Offer | None, received_at: datetime) -> date | None:
    """The offer's deadline while it is still ahead; on the day itself and after it, no day is named."""
    if offer is None or offer.deadline is None or received_at.date() >= offer.deadline:
        return None
    return offer.deadline


# What a stranger can put in a name to make us carry advertising: a digit, a scheme, an @, a domain.
_NO_NAME = re.compile(r"[\d@/\\:<>\"()\[\]{}|*_=+~^%$€#!?;…]|\w\.\w{2,}|\bwww\b", re.IGNORECASE)


def salutation(name: str) -> str | None:
    """A name to greet with, None when it does not look like a person's ("Gagnez 1000 €", an address)."""
    shown = visible(name, 200)
    words = shown.split()
    if not 1 <= len(words) <= 8 or len(shown) > 60 or _NO_NAME.search(shown) or "‹" in shown:  # noqa: PLR2004, the longest of Portuguese names.
        return None
    return shown if any(character.isalpha() for character in shown) else None


def shown_file(name: str) -> str:
    """A file name that no mail program turns into a link or reads backwards."""
    plain = re.sub(r"\w+://|\bwww\.", "", name, flags=re.IGNORECASE)
    return visible(re.sub(r"[/\\@:<>|«»]", "_", plain), _FILE_CAP) or "sans nom"


_SERVICES = {
    "1drv.ms": "OneDrive",
    "box.com": "Box",
    "canva.com": "Canva",
    "docs.google.com": "Google Drive",
    "drive.google.com": "Google Drive",
    "dropbox.com": "Dropbox",
    "francetransfert.numerique.gouv.fr": "France transfert",
    "fromsmash.com": "Smash",
    "grosfichiers.com": "GrosFichiers",
    "icloud.com": "iCloud",
    "kdrive.infomaniak.com": "kDrive",
    "mega.nz": "MEGA",
    "onedrive.live.com": "OneDrive",
    "pcloud.com": "pCloud",
    "sharepoint.com": "OneDrive",
    "swisstransfer.com": "SwissTransfer",
    "transfernow.net": "TransferNow",
    "we.tl": "WeTransfer",
    "wetransfer.com": "WeTransfer",
}


def services(links: Sequence[str]) -> tuple[str, ...]:
    """Names of the sharing services behind links, "" for one we do not know; a stranger's link is never repeated."""
    return tuple(dict.fromkeys(_service(link) for link in links))


def _service(link: str) -> str:
    authority = re.sub(r"^\w+://", "", link).partition("/")[0]
    host = authority.rpartition("@")[2].partition(":")[0].lower()
    return next((name for known, name in _SERVICES.items() if host == known or host.endswith(f".{known}")), "")
