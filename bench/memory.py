"""The most memory it takes: under normal load, for one message of 50 MB, and after 10,000 messages beside 1,000.

`python bench/memory.py [--only normal,large,many]`.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from agent import Sink, command, install
from french_applications import large
from mailboxes import PASSWORD, generated, kept, small, start_server
from measure import machine, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MAIN, _ALL, _LARGE, _MANY = 75.0, 140.0, 200.0, 1.1  # MB, MB, MB, times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="normal,large,many")
    options = parser.parse_args()
    print(machine())
    checks: dict[str, Callable[[], bool]] = {"normal": normal, "large": one_large, "many": many}
    met = {name: checks[name]() for name in options.only.split(",")}
    raise SystemExit(not all(met.values()))


def normal() -> bool:
    main_rss, whole = peaks(generated(300))
    print(f"normal load: main {main_rss:.0f} MB (at most {_MAIN:.0f}), all {whole:.0f} MB (at most {_ALL:.0f})")
    return main_rss <= _MAIN and whole <= _ALL


def one_large() -> bool:
    main_rss, whole = peaks(kept("large", 1, lambda: [(1_705_305_600, large(38_000_000))]))
    print(f"a message of 50 MB: main {main_rss:.0f} MB, all {whole:.0f} MB (at most {_LARGE:.0f})")
    return whole <= _LARGE


def many() -> bool:
    few, _ = peaks(small(1000))
    lots, _ = peaks(small(10_000))
    print(f"after 10,000 messages: {lots:.0f} MB, after 1,000 {few:.0f} MB: {lots / few:.2f} (at most {_MANY})")
    return lots / few <= _MANY


def peaks(messages: Sequence[Path]) -> tuple[float, float]:
    """Main process (RSS) and all together (PSS) of one pass, in MB."""
    server = start_server()
    folder = Path(tempfile.mkdtemp(prefix="inbox-agent-bench-"))
    try:
        user = server.mailbox(messages)
        with Sink(folder) as sink:
            install(folder, imap=server.dovecot.imap, user=user, password=PASSWORD, smtp=sink.port)
            cost = measured(command("once"), folder=folder)
            if cost.status:
                raise SystemExit(cost.output)
            return cost.main_rss, cost.tree_pss
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
