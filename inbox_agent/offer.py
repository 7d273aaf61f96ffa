"""A published job offer, and who the staff are, as values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any


class DeadlineDay(StrEnum):
    """What arrival on the deadline day itself means ("avant le 15" is read both ways)."""

    LATE = "late"
    FLAGGED = "flagged"
    ON_TIME = "on_time"


class LateDocuments(StrEnum):
    """What a piece means that completes, after the deadline, an application received in time."""

    ACCEPT = "accept"
    FLAG = "flag"
    REFUSE = "refuse"


# Domains that anybody can have an address under: being there makes nobody a member of staff.
PUBLIC_DOMAINS = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "outlook.fr",
        "hotmail.com",
        "hotmail.fr",
        "live.com",
        "live.fr",
        "msn.com",
        "yahoo.com",
        "yahoo.fr",
        "ymail.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "aol.com",
        "gmx.com",
        "gmx.fr",
        "gmx.net",
        "proton.me",
        "protonmail.com",
        "pm.me",
        "mail.com",
        "zoho.com",
        "yandex.com",
        "orange.fr",
        "wanadoo.fr",
        "free.fr",
        "sfr.fr",
        "neuf.fr",
        "laposte.net",
        "bbox.fr",
        "numericable.fr",
        "club-internet.fr",
        "aliceadsl.fr",
        "cegetel.net",
        "tutanota.com",
    ]
)


@dataclass(frozen=True, slots=True)
class Offer:
    """One offer, as `rules/offers/ID.toml` says it (design section 4).

    Addresses are addr-specs in lower case. `deadline`, `opens` and `closed` are days in `timezone`, an IANA
    name; `closed` is a day from which the offer is withdrawn early. `required` holds "cv" and "letter".
    `reply_modes` maps a reply template (or "*") to draft, send or off; empty: the configuration decides.
    `retention_months` counts from the last contact, None: the configuration decides.
    """

    id: str
    title: str
    addressed_to: tuple[str, ...]
    in_copy: tuple[str, ...] = ()
    deadline: date | None = None
    deadline_day: DeadlineDay = DeadlineDay.FLAGGED
    timezone: str = "Europe/Paris"
    required: tuple[str, ...] = ("cv", "letter")
    keywords: tuple[str, ...] = ()
    opens: date | None = None
    closed: date | None = None
    language: str = "fr"
    reference: str | None = None
    grace_minutes: int = 0
    late_documents: LateDocuments = LateDocuments.ACCEPT
    reply_modes: tuple[tuple[str, str], ...] = ()
    contact: str | None = None
    retention_months: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain types, for the reading child."""
        plain = dataclasses.asdict(self)
        for key in ("deadline", "opens", "closed"):
            plain[key] = plain[key] and plain[key].isoformat()
        return plain

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Offer:
        """The inverse of `to_json`."""
        fields: dict[str, Any] = {
            **{key: tuple(item) if isinstance(item, list) else item for key, item in value.items()},
            **{key: value[key] and date.fromisoformat(value[key]) for key in ("deadline", "opens", "closed")},
            "deadline_day": DeadlineDay(value["deadline_day"]),
            "late_documents": LateDocuments(value["late_documents"]),
            "reply_modes": tuple((template, mode) for template, mode in value["reply_modes"]),
        }
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Staff:
    """Who belongs to the association: exact addresses, and domains of which every address belongs."""

    addresses: frozenset[str]
    domains: frozenset[str]

    @classmethod
    def of(cls, offers: tuple[Offer, ...], further: tuple[str, ...] = ()) -> Staff:
        """The offers' own addresses and `further` ones, with the domains of all that are no public provider's."""
        addresses = frozenset(
            address.lower() for offer in offers for address in (*offer.addressed_to, *offer.in_copy)
        ) | frozenset(address.lower() for address in further)
        domains = frozenset(address.rpartition("@")[2] for address in addresses) - PUBLIC_DOMAINS
        return cls(addresses, domains)

    def includes(self, addr_spec: str) -> bool:
        """Whether that address is one of ours; a plus-address is its mailbox's."""
        address = addr_spec.lower()
        local, _, domain = address.rpartition("@")
        return domain in self.domains or f"{local.partition('+')[0]}@{domain}" in self.addresses
