"""`inbox-agent offers`: what is open, until when, and what happens to a mail arriving now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from inbox_agent import assess
from inbox_agent.application import Timing
from inbox_agent.decision import ReplyTemplate
from inbox_agent.table import table_of

if TYPE_CHECKING:
    from inbox_agent.offer import Offer


def described(offers: tuple[Offer, ...], mode: str, now: datetime | None = None) -> list[dict[str, Any]]:
    """Each offer, and the fate of a complete application that arrives at `now`; `mode` is that of the configuration."""
    return [
        _described(offer, mode, (now or datetime.now(UTC)).astimezone(ZoneInfo(offer.timezone))) for offer in offers
    ]


def _described(offer: Offer, mode: str, now: datetime) -> dict[str, Any]:
    arrival = assess.arrival(offer, now, None)
    template = ReplyTemplate.LATE if arrival.timing is Timing.LATE else ReplyTemplate.COMPLETE
    modes = dict(offer.reply_modes)
    return {
        "id": offer.id,
        "title": offer.title,
        "state": _state(offer, now, arrival.timing),
        "opens": offer.opens.isoformat() if offer.opens else None,
        "deadline": offer.deadline.isoformat() if offer.deadline else None,
        "closed": offer.closed.isoformat() if offer.closed else None,
        "required": list(offer.required),
        "timing_now": arrival.timing.value if arrival.timing else None,
        "reply_now": template.value,
        "mode_now": modes.get(template, modes.get("*", mode)),
        "notes": list(arrival.notes),
    }


def _state(offer: Offer, now: datetime, timing: Timing | None) -> str:
    if offer.opens and now.date() < offer.opens:
        return "not open yet"
    if offer.closed and now.date() >= offer.closed:
        return "closed early"
    match timing:
        case Timing.LATE:
            return "deadline past"
        case Timing.BOUNDARY:
            return "last day"
        case _:
            return "open"


_TIMINGS = {None: "not timed", "on_time": "on time", "boundary": "on the deadline day", "late": "late"}
_MODES = {"draft": "a draft waits for staff", "send": "sent", "off": "not answered"}


def table(rows: list[dict[str, Any]]) -> str:
    """For a terminal."""
    if not rows:
        return "There is no offer. Write one: rules/offers/ID.toml"
    shown = [
        [
            row["id"],
            row["state"],
            row["deadline"] or "none",
            " and ".join(row["required"]) or "nothing",
            f"is {_TIMINGS[row['timing_now']]}; reply “{row['reply_now']}”: {_MODES[row['mode_now']]}",
        ]
        for row in rows
    ]
    return table_of(("offer", "state", "deadline", "asks for", "a mail arriving now"), shown)
