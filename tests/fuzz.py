"""Coverage-guided fuzzing of what strangers' octets reach: `uv run --with atheris python tests/fuzz.py [SECONDS]`.

libFuzzer mutates the labelled messages; each input goes the whole way as in a child: parse, extract, recognise, decide.
Whatever raises, or takes longer than 20 s, ends the run and leaves the input as crash-* or timeout-* in this folder.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import atheris

_HERE = Path(__file__).parent
sys.path.insert(0, str(_HERE.parent))

with atheris.instrument_imports(include=["inbox_agent"]):
    from inbox_agent.application import Kind
    from inbox_agent.decide import Policy, decide
    from inbox_agent.decision import History
    from inbox_agent.offer import Staff
    from inbox_agent.offers import load_offers
    from inbox_agent.read import read
    from inbox_agent.rules import load_rules
    from inbox_agent.shipped import shipped

_RULES = load_rules(shipped("rules"))
_OFFERS = load_offers(shipped("rules"))
_STAFF = Staff.of(_OFFERS)
_ANSWERED = (Kind.APPLICATION, Kind.FOLLOW_UP, Kind.WITHDRAWAL)
_NOW = datetime(2024, 2, 1, 12, tzinfo=UTC)


def one_input(octets: bytes) -> None:
    reading = read(octets, _RULES, _OFFERS, _STAFF)
    decision = decide(reading, _NOW, History(), Policy(_OFFERS, _STAFF))
    if decision.reply is not None and decision.kind not in _ANSWERED:
        raise AssertionError(f"{decision.kind} would be answered")


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    with tempfile.TemporaryDirectory() as corpus:
        for path in (_HERE / "messages").glob("*.eml"):
            if path.stat().st_size < 20_000:  # Small ones are mutated faster.
                (Path(corpus) / path.name).write_bytes(path.read_bytes())
        limits = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=40000"]
        atheris.Setup([sys.argv[0], *limits, corpus], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
