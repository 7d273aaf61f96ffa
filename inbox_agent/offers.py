"""The published offers, read from `rules/offers/*.toml`."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints

from inbox_agent.errors import ConfigError, Fault
from inbox_agent.offer import DeadlineDay, LateDocuments, Offer
from inbox_agent.toml_model import Section, identifier, load

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\"]+")


def _address(value: str) -> str:
    if not ADDRESS.fullmatch(value):
        raise ValueError(f'"{value}" is no e-mail address; Write it as name@example.org, without a display name.')
    return value.lower()


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f'"{value}" is no time zone; Use an IANA name such as Europe/Paris.') from None
    return value


AddressSpec = Annotated[str, AfterValidator(_address)]
Zone = Annotated[str, AfterValidator(_zone)]
Day = Annotated[date, Field(strict=True)]
Template = Literal["complete", "incomplete", "late", "completed", "still_incomplete", "withdrawn", "*"]


class OfferFile(Section):
    """One file of rules/offers: the keys, as people write them."""

    example: ClassVar[str] = "rules/offers/charge-de-mission-2024.toml"

    id: Annotated[str, AfterValidator(identifier(64, "."))]
    title: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    addressed_to: Annotated[list[AddressSpec], Field(min_length=1)]
    in_copy: list[AddressSpec] = []
    deadline: Day | None = None
    deadline_day: DeadlineDay = DeadlineDay.FLAGGED
    timezone: Zone = "Europe/Paris"
    required: list[Literal["cv", "letter"]] = ["cv", "letter"]
    keywords: list[str] = []
    opens: Day | None = None
    closed: Day | None = None
    language: Literal["fr", "en"] = "fr"
    reference: str | None = None
    grace_minutes: Annotated[int, Field(ge=0, le=24 * 60)] = 0
    late_documents: LateDocuments = LateDocuments.ACCEPT
    reply: Literal["draft", "send", "off"] | None = None
    replies: dict[Template, Literal["draft", "send", "off"]] = {}
    contact: str | None = None
    retention_months: Annotated[int, Field(ge=0, le=120)] | None = None

    def offer(self) -> Offer:
        """The value that the steps use."""
        modes: dict[str, str] = {"*": self.reply} if self.reply else {}
        modes.update({str(template): mode for template, mode in self.replies.items()})
        return Offer(
            id=self.id,
            title=self.title,
            addressed_to=tuple(self.addressed_to),
            in_copy=tuple(self.in_copy),
            deadline=self.deadline,
            deadline_day=self.deadline_day,
            timezone=self.timezone,
            required=tuple(self.required),
            keywords=tuple(self.keywords),
            opens=self.opens,
            closed=self.closed,
            language=self.language,
            reference=self.reference,
            grace_minutes=self.grace_minutes,
            late_documents=self.late_documents,
            reply_modes=tuple(modes.items()),
            contact=self.contact,
            retention_months=self.retention_months,
        )


def load_offers(rules: Path) -> tuple[Offer, ...]:
    """Every offer beneath `rules`/offers, by file name. Raises ConfigError with the faults of all files."""
    faults: list[Fault] = []
    offers: dict[str, Offer] = {}
    for path in sorted((rules / "offers").glob("*.toml")):
        try:
            offer = load(path, OfferFile).offer()
        except ConfigError as error:
            faults.extend(error.faults)
            continue
        if offer.id in offers:
            faults.append(Fault(str(path), "id", f'"{offer.id}" is the id of another offer', "Ids are unique."))
        if offer.opens and offer.deadline and offer.opens > offer.deadline:
            faults.append(Fault(str(path), "opens", "is after the deadline", "Exchange or correct the two days."))
        offers[offer.id] = offer
    if not offers and not faults:
        faults.append(Fault(str(rules / "offers"), "folder", "holds no offer", "Write ID.toml there, one per offer."))
    if faults:
        raise ConfigError(tuple(faults))
    return tuple(offers.values())
