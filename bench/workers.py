"""How reading scales with workers: messages a second and processor time, by `python bench/workers.py URL [COUNT]`.

URL is an empty database of a PostgreSQL that does nothing else. One process defers and awaits as `run` does, and
1, 2, 4 workers read generated French applications (450 kB each).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from inbox_agent.adapters.queued_readers import QueuedReaders
from inbox_agent.config import load_config
from inbox_agent.installation import child_readers, staff_of
from inbox_agent.offers import load_offers
from inbox_agent.shipped import shipped
from inbox_agent.worker import queue_of

from french_applications import applications
from measure import cpu_of_tree, machine

_BATCH = 28  # messages, as fetch.py cuts them
_CONFIG = """
state = "state"
[store]
url = "{url}"
[reader]
queued = true
[organisation]
name = "A"
address = "a@example.org"
[[mailboxes]]
name = "a"
[mailboxes.imap]
host = "127.0.0.1"
user = "a"
password = {{ file = "none" }}
[archive]
root = "archive"
[digest]
to = ["a@example.org"]
"""
_WORKER = """
import sys
from pathlib import Path
from inbox_agent.config import load_config
from inbox_agent.worker import serve
serve(load_config(Path(sys.argv[1])))
"""


def main() -> None:
    """Print one line for each number of workers."""
    url, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200  # noqa: PLR2004
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spooled = [spool(folder, octets) for _, octets in applications(count)]
        print(machine())
        print(
            f"{len(spooled)} messages, {sum(path.stat().st_size for path in spooled) / len(spooled) / 1000:.0f} kB each"
        )
        for workers in (0, 1, 2, 4):
            measure(host(folder / f"run{workers}", url), spooled, workers)


def spool(folder: Path, octets: bytes) -> Path:
    """As fetch.py does."""
    path = folder / f"{hashlib.sha256(octets).hexdigest()}.eml"
    path.write_bytes(octets)
    return path


def host(folder: Path, url: str) -> Path:
    """A configuration with a state folder of its own."""
    (folder / "state" / "scratch").mkdir(parents=True)
    (folder / "config.toml").write_text(_CONFIG.format(url=url), encoding="utf-8")
    return folder / "config.toml"


def measure(path: Path, spooled: list[Path], workers: int) -> None:
    """With 0 workers the two children of this host read, as without any of this."""
    config = load_config(path)
    offers = load_offers(shipped("rules"))
    staff = staff_of(config, offers)
    scratch = config.state / "scratch"
    children = child_readers(config, offers, staff, scratch, 2)
    readers = QueuedReaders(config.store_url, queue_of(config.rules_folder, offers, staff), children, scratch)
    started = [
        subprocess.Popen([sys.executable, "-c", _WORKER, str(path)], stderr=subprocess.DEVNULL) for _ in range(workers)
    ]
    try:
        while readers._workers() < workers:  # noqa: SLF001 - the bench looks inside
            time.sleep(0.2)
        list(readers.read(spooled[: 4 * max(workers, 2)]))  # Warm: the children are started.
        own, theirs = time.process_time(), sum(cpu_of_tree(process.pid) for process in started)
        began = time.monotonic()
        for start in range(0, len(spooled), _BATCH):
            for reading in readers.read(spooled[start : start + _BATCH]):
                assert hasattr(reading, "documents"), reading  # noqa: S101 - an Unread measures nothing
        took = time.monotonic() - began
        own, theirs = time.process_time() - own, sum(cpu_of_tree(process.pid) for process in started) - theirs
        each = 1000 / len(spooled)
        print(
            f"{workers} workers: {len(spooled) / took:6.1f} messages/s; CPU a message: "
            f"hands out {own * each:.1f} ms, reads {theirs * each:.1f} ms",
            flush=True,
        )
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)
        readers.close()


if __name__ == "__main__":
    main()
