"""What the journal says, as Prometheus' text format 0.0.4, for node_exporter's textfile collector.

Counts are gauges: retention and erasure make them smaller. Every state has its series from the start, so that an
alarm on one that has never occurred is no alarm on nothing. No name, address or word of a message is a label.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import sqlalchemy as sa

from inbox_agent.decision import ActState
from inbox_agent.errors import FileStoreError
from inbox_agent.journal import moment
from inbox_agent.schema import acts, applications, digests, mailboxes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from inbox_agent.journal import Journal, Ledger


@dataclass(frozen=True, slots=True)
class Sample:
    """One value under its name; `label` is a pair or None."""

    value: float
    label: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge and its samples."""

    name: str
    means: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterator[str]:
        """As the format wants it: what it means, its type, its samples."""
        name = f"inbox_agent_{self.name}"
        yield f"# HELP {name} {self.means}"
        yield f"# TYPE {name} gauge"
        for sample in self.samples:
            label = f'{{{sample.label[0]}="{_escaped(sample.label[1])}"}}' if sample.label else ""
            yield f"{name}{label} {sample.value:.15g}"


def exposition(journal: Journal) -> str:
    """The whole text. Reads the store, which a running agent does not notice; the mail servers are not asked."""
    return "".join(f"{line}\n" for metric in _metrics(journal) for line in metric.lines())


def write_textfile(path: Path, text: str) -> None:
    """Replace `path` in one step, readable by all: a collector never sees half a file. Raises FileStoreError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise FileStoreError(f"{path} cannot be written ({error.strerror}). Check its folder's owner.") from error


def _metrics(journal: Journal) -> Iterator[Metric]:
    ledger = journal.ledger()
    with journal.snapshot() as connection:
        polls = connection.execute(sa.select(mailboxes).order_by(mailboxes.c.name)).all()
        count = connection.scalar(sa.select(sa.func.count()).select_from(applications)) or 0
        by_state = sa.select(acts.c.state, sa.func.count()).where(acts.c.octets.is_not(None)).group_by(acts.c.state)
        mails = {str(state): number for state, number in connection.execute(by_state)}
        waiting = sa.select(sa.func.min(acts.c.created_at)).where(acts.c.state == ActState.PENDING)
        oldest = connection.scalar(waiting)
        digest = connection.scalar(sa.select(sa.func.max(digests.c.made_at)))
    yield Metric("info", "The program that wrote this.", (Sample(1, ("version", _version())),))
    yield Metric("messages", "Messages in scope, by where they are.", tuple(_counted(ledger)))
    yield Metric("ledger_balanced", "1 if every message in scope is in exactly one place.", _one(ledger.balances))
    yield Metric("applications", "Applications known.", _one(count))
    states = tuple(Sample(mails.get(state, 0), ("state", state)) for state in ActState)
    yield Metric("mails", "Replies and reports, by their state.", states)
    yield from _moments("oldest_pending_act", "When the oldest act that waits was written down.", [(None, oldest)])
    yield from _moments(
        "last_poll", "When a mailbox was last read without trouble.", [(row.name, row.polled_at) for row in polls]
    )
    troubled = tuple(Sample(float(row.trouble is not None), ("mailbox", row.name)) for row in polls)
    yield Metric("mailbox_trouble", "1 if the latest poll of a mailbox failed.", troubled)
    yield from _moments("last_digest", "When the latest digest was made.", [(None, digest)])


def _counted(ledger: Ledger) -> Iterator[Sample]:
    for state in ("filed", "left", "doubt", "quarantined", "pending"):
        yield Sample(getattr(ledger, state), ("state", state))


def _one(value: float) -> tuple[Sample, ...]:
    return (Sample(float(value)),)


def _moments(name: str, means: str, rows: Iterable[tuple[str | None, str | None]]) -> Iterator[Metric]:
    """Seconds since 1970; what never happened has no sample."""
    samples = tuple(
        Sample(moment(text).timestamp(), ("mailbox", mailbox) if mailbox else None)
        for mailbox, text in rows
        if text is not None
    )
    yield Metric(f"{name}_timestamp_seconds", means, samples)


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _version() -> str:
    try:
        return version("inbox-agent")
    except PackageNotFoundError:  # A checkout that nobody installed.
        return "unknown"
