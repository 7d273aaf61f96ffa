"""Tables and moments for the terminal: rich's on a terminal, plain columns elsewhere."""

from __future__ import annotations

import io
import shutil
import sys
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None) -> str:
    """A table that fits the terminal; elsewhere as wide as it needs to be."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - slow to import
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else 200
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=terminal, color_system=None, highlight=False).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip("\n")


def minute(at: str, zone: tzinfo) -> str:
    """A moment of the store as people read it: their own day and clock, "2024-02-13 18:04"."""
    return f"{datetime.fromisoformat(at).astimezone(zone):%Y-%m-%d %H:%M}"


def many(number: int, what: str) -> str:
    """A count with its English word: "1 application", "2 applications"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
