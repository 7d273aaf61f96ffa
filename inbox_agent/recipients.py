"""To whom of ours a message is addressed, and how: evidence, never a condition. A display name proves nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inbox_agent.application import Evidence
from inbox_agent.phrases import fold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inbox_agent.message import Message
    from inbox_agent.offer import Offer, Staff


@dataclass(frozen=True, slots=True)
class Addressed:
    """What speaks for an application in To and Cc; `notes` say in French what is unusual there."""

    evidence: tuple[Evidence, ...]
    notes: tuple[str, ...]


def _mailbox(addr_spec: str) -> str:
    """The address without its plus-part."""
    local, at, domain = addr_spec.rpartition("@")
    return f"{local.partition('+')[0]}{at}{domain}"


def addressed(message: Message, offers: tuple[Offer, ...], staff: Staff, *, weights: Mapping[str, float]) -> Addressed:
    """Who of ours it is addressed to and how, as evidence, and what is unusual about it, in French."""
    to = {_mailbox(address.addr_spec): address.addr_spec for address in message.to}
    cc = {_mailbox(address.addr_spec): address.addr_spec for address in message.cc}
    heads = {address for offer in offers for address in offer.addressed_to}
    copies = {address for offer in offers for address in offer.in_copy}
    expected, elsewhere = weights["addressed_to"], weights["other_staff_address"]
    evidence = [Evidence("addressed_to", f"To: {to[address]}", expected) for address in sorted(heads & set(to))]
    evidence += (Evidence("in_copy", f"Cc: {cc[one]}", weights["in_copy"]) for one in sorted(copies & set(cc)))
    evidence += (Evidence("other_role", f"Cc: {cc[address]}", elsewhere) for address in sorted(heads & set(cc)))
    only_copies = sorted((copies - heads) & set(to))
    evidence += (Evidence("other_role", f"To: {to[address]}", elsewhere) for address in only_copies)
    if not evidence:
        ours = [spec for spec in (*to.values(), *cc.values()) if staff.includes(spec)]
        evidence += (Evidence("other_staff_address", spec, elsewhere) for spec in ours[:2])
    notes = _unusual(set(to), set(cc), heads, copies)
    if not evidence:
        notes.append(_hidden(message, heads | copies, staff))
    return Addressed(tuple(evidence), tuple(notes))


def _unusual(to: set[str], cc: set[str], heads: set[str], copies: set[str]) -> list[str]:
    if heads & cc and (copies - heads) & to:
        return ["destinataires inversés : l’adresse principale est en copie"]
    notes = []
    if heads & to and (copies - heads) & to:
        notes.append("les deux adresses sont en destinataires principaux")
    elif heads & to and copies and not copies & (to | cc):
        notes.append("la copie demandée dans l’offre manque")
    elif (copies - heads) & (to | cc) and not heads & (to | cc):
        notes.append("adressé à la seule adresse de copie")
    return notes


def _hidden(message: Message, ours: set[str], staff: Staff) -> str:
    delivered = [address.addr_spec for address in message.delivered_to]
    named = {fold(address.name) for address in (*message.to, *message.cc) if address.name}
    names = {re.sub(r"[._]", " ", address.partition("@")[0]) for address in ours}
    if any(all(part in shown for part in name.split()) for name in names for shown in named):
        return "le nom affiché est celui de l’équipe, mais l’adresse ne l’est pas"
    if any(staff.includes(spec) for spec in delivered):
        return "reçu par une autre adresse ou une redirection"
    return "aucune de nos adresses en destinataire : copie cachée ou liste"
