"""Workers on other hosts read what this one fetched: the same readings, the same documents, whoever dies."""

from __future__ import annotations

import hashlib
import importlib.util
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from inbox_agent.application import Reading
from inbox_agent.config import load_config
from inbox_agent.errors import ConfigError, StoreError
from inbox_agent.installation import child_readers, staff_of
from inbox_agent.offers import load_offers
from inbox_agent.worker import queue_of

from configuring import configuration
from real_association import DIRECTOR, MESSAGES, OFFER
from servers.dovecot import missing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

_WORKER = """
import sys
from pathlib import Path
from inbox_agent.config import load_config
from inbox_agent.worker import serve
serve(load_config(Path(sys.argv[1])), Path(sys.argv[1]))
"""


@pytest.fixture(autouse=True)
def _extra():
    if importlib.util.find_spec("procrastinate") is None:
        missing("procrastinate is not installed (extra scale)")


def host(folder: Path, url: str) -> Path:
    """A host's configuration; its state folder is its own."""
    (folder / "rules" / "offers").mkdir(parents=True)
    (folder / "state" / "scratch").mkdir(parents=True)
    (folder / "rules" / "offers" / "offre.toml").write_text(OFFER, encoding="utf-8")
    text = configuration(
        address=DIRECTOR,
        imap='user = "u"\npassword = { file = "password" }',
        smtp="",
        digest=[DIRECTOR],
        mode="draft",
        sections=f'[store]\nurl = "{url}"\n[reader]\nqueued = true\n',
    )
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return folder / "config.toml"


@pytest.fixture
def url(postgresql):
    return postgresql.fresh_url()


@pytest.fixture
def workers(tmp_path, url):
    started: list[subprocess.Popen[bytes]] = []

    def start(count: int) -> list[subprocess.Popen[bytes]]:
        for number in range(len(started), len(started) + count):
            config = host(tmp_path / f"worker{number}", url)
            with (tmp_path / "workers.log").open("ab") as log:
                started.append(subprocess.Popen([sys.executable, "-c", _WORKER, str(config)], stderr=log))
        return started

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
    for process in started:
        process.wait(60)


@pytest.fixture
def spooled(tmp_path):
    """The sample messages in a spool."""
    spool = tmp_path / "spool"
    spool.mkdir()
    paths = []
    for sample in sorted(MESSAGES.glob("*.eml")):
        octets = sample.read_bytes()
        paths.append(spool / f"{hashlib.sha256(octets).hexdigest()}.eml")
        paths[-1].write_bytes(octets)
    return paths


@pytest.fixture
def queued(tmp_path, url):
    """What decides, on a host of its own; messages are read there after 5 s without an answer."""
    from inbox_agent.adapters.queued_readers import QueuedReaders  # noqa: PLC0415 - an extra

    config = load_config(host(tmp_path / "decides", url))
    offers = load_offers(config.rules_folder)
    staff = staff_of(config, offers)
    scratch = config.state / "scratch"
    children = child_readers(config, offers, staff, scratch, 1)
    readers = QueuedReaders(url, queue_of(config.rules_folder, offers, staff), children, scratch, patience=5)
    yield readers
    readers.close()


def alive(queued, count: int) -> None:
    until = time.monotonic() + 60
    while queued._workers() < count:
        assert time.monotonic() < until, "the workers do not start"
        time.sleep(0.1)


def documents(paths: list[Path]) -> dict[str, bytes]:
    """Every file beside the messages."""
    return {
        f"{path.stem[:8]}/{file.name}": file.read_bytes()
        for path in paths
        for file in (path.with_suffix(".d").iterdir() if path.with_suffix(".d").is_dir() else ())
    }


def test_workers_read_as_the_children_of_this_host_do(queued, workers, spooled):
    here = list(queued.read(spooled))
    made_here = documents(spooled)
    workers(2)
    alive(queued, 2)

    there = list(queued.read(spooled))

    assert there == here
    assert all(isinstance(reading, Reading) for reading in there)
    assert documents(spooled) == made_here
    assert made_here


def test_without_workers_messages_are_read_here_at_once(queued, spooled):
    assert [reading.sha256 for reading in queued.read(spooled[:2])] == [path.stem for path in spooled[:2]]


def test_a_worker_that_is_killed_at_its_task_loses_nothing(queued, workers, spooled):
    for process in workers(1):
        alive(queued, 1)
        readings = queued.read(spooled)
        first = next(readings)
        process.send_signal(signal.SIGKILL)
        rest = list(readings)

    assert [reading.sha256 for reading in (first, *rest)] == [path.stem for path in spooled]
    assert all(isinstance(reading, Reading) for reading in (first, *rest))


def tasks(queued) -> int:
    import sqlalchemy as sa  # noqa: PLC0415 - here alone

    with queued._engine.connect() as connection:
        return connection.scalar(
            sa.text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'inbox_agent.read'")
        )


def test_a_worker_with_other_rules_reads_nothing_of_ours(queued, workers, spooled, tmp_path, url):
    config = host(tmp_path / "other", url)
    offer = tmp_path / "other" / "rules" / "offers" / "offre.toml"
    offer.write_text(offer.read_text(encoding="utf-8").replace("2024-02-15", "2024-02-14"), encoding="utf-8")
    loaded = load_config(config)
    offers = load_offers(loaded.rules_folder)

    assert queue_of(loaded.rules_folder, offers, staff_of(loaded, offers)) != queued._queue


def test_when_postgresql_stops_it_is_told_and_goes_on_afterwards(queued, workers, spooled, postgresql):
    workers(1)
    alive(queued, 1)
    assert isinstance(next(iter(queued.read(spooled[:1]))), Reading)
    postgresql.stop()
    try:
        with pytest.raises(StoreError, match="Start it"):
            list(queued.read(spooled))
    finally:
        postgresql.start()

    readings = list(queued.read(spooled))

    assert [reading.sha256 for reading in readings] == [path.stem for path in spooled]
    assert all(isinstance(reading, Reading) for reading in readings)


def test_nothing_is_left_in_the_tables(queued, workers, spooled):
    import sqlalchemy as sa  # noqa: PLC0415 - here alone

    workers(1)
    alive(queued, 1)
    list(queued.read(spooled))
    time.sleep(1)

    with queued._engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM reading_work")) == 0
    assert tasks(queued) == 0


def test_workers_without_postgresql_are_a_fault_of_the_configuration(tmp_path):
    config = host(tmp_path / "host", f"sqlite:///{tmp_path / 'x.db'}")

    with pytest.raises(ConfigError, match=r"Set store\.url"):
        load_config(config)
