"""The system's clock, as ports.Clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The present, as the operating system tells it."""

    def now(self) -> datetime:
        """The present, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
