"""Days and hours as French is written; the locale of the machine plays no part."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime

WEEKDAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
MONTHS = (
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()  # noqa: SIM905 - a line of words reads better
)


def day_in_words(day: date) -> str:
    """`1er mars 2024`, `15 février 2024`."""
    number = "1er" if day.day == 1 else str(day.day)
    return f"{number} {MONTHS[day.month - 1]} {day.year}"


def weekday_in_words(day: date) -> str:
    """`jeudi 15 février 2024`."""
    return f"{WEEKDAYS[day.weekday()]} {day_in_words(day)}"


def moment_in_words(moment: datetime) -> str:
    """`15 février 2024 à 00 h 30`, in the moment's own zone."""
    return f"{day_in_words(moment)} à {moment.hour:02d} h {moment.minute:02d}"
