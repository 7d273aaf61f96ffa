"""`inbox-agent worker`: reads messages that other hosts fetched and decide. It needs the store and the rules alone.

A worker that is killed loses nothing: who waits for it reads the message after half a minute.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from inbox_agent.errors import ConfigError, Fault
from inbox_agent.holding import POSTGRESQL_ARGUMENTS
from inbox_agent.ports import Unread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inbox_agent.config import Config
    from inbox_agent.offer import Offer, Staff

_log = logging.getLogger(__name__)


def queue_of(rules: Path, offers: Sequence[Offer], staff: Staff) -> str:
    """The queue of everybody who reads by these very rules, offers and program."""
    try:
        program = version("inbox-agent")
    except PackageNotFoundError:
        program = "checkout"
    digest = hashlib.sha256(program.encode())
    for path in sorted(rules.rglob("*.toml")):
        digest.update(str(path.relative_to(rules)).encode() + b"\0" + path.read_bytes() + b"\0")
    known = [[offer.to_json() for offer in offers], sorted(staff.addresses), sorted(staff.domains)]
    digest.update(json.dumps(known, default=str).encode())
    return f"read-{digest.hexdigest()[:16]}"


def serve(config: Config, file: Path) -> None:
    """Read until SIGTERM; `file` is where that configuration stands. Raises ConfigError, StoreError."""
    from inbox_agent.installation import child_readers, staff_of  # noqa: PLC0415 - slow to import
    from inbox_agent.offers import load_offers  # noqa: PLC0415 - the same

    if not config.store_url.startswith("postgresql"):
        fault = Fault(str(file), "store.url", "a worker needs a store on PostgreSQL", "Set store.url.")
        raise ConfigError((fault,))
    try:
        import procrastinate  # noqa: PLC0415 - an extra

        from inbox_agent.adapters import queued_readers as queued  # noqa: PLC0415 - the same
    except ImportError:
        fault = Fault(str(file), "store.url", "a worker needs more programs", "Install inbox-agent[scale].")
        raise ConfigError((fault,)) from None
    offers = load_offers(config.rules_folder)
    staff = staff_of(config, offers)
    config.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    spool = Path(tempfile.mkdtemp(prefix="worker-", dir=config.state))
    readers = child_readers(config, offers, staff, spool / "scratch", 1)
    engine = queued.work_engine(config.store_url)
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=queued.conninfo(config.store_url), kwargs=POSTGRESQL_ARGUMENTS
        )
    )

    @app.task(name=queued.TASK)  # type: ignore[untyped-decorator,unused-ignore]
    def read(number: str, sha256: str) -> None:
        octets = queued.take_octets(engine, number)
        if octets is None or hashlib.sha256(octets).hexdigest() != sha256:
            return
        path = spool / f"{sha256}.eml"
        path.write_bytes(octets)  # Durable where it came from.
        found = next(iter(readers.read([path])))
        made = spool / f"{sha256}.d"
        answer = {"unread": found.why} if isinstance(found, Unread) else found.to_json()
        queued.give_answer(engine, number, answer, queued.packed(made))
        shutil.rmtree(made, ignore_errors=True)
        path.unlink()

    @app.periodic(cron="* * * * *")  # type: ignore[untyped-decorator,unused-ignore]
    @app.task(name="inbox_agent.stalled", queue=queue_of(config.rules_folder, offers, staff), pass_context=False)  # type: ignore[untyped-decorator,unused-ignore]
    async def stalled(timestamp: int) -> None:  # noqa: ARG001 - procrastinate gives it
        for job in await app.job_manager.get_stalled_jobs():
            await app.job_manager.retry_job(job)

    queue = queue_of(config.rules_folder, offers, staff)
    _log.info("worker queue=%s", queue)
    try:
        app.run_worker(queues=[queue], concurrency=1, delete_jobs="always", name="inbox-agent")
    finally:
        readers.close()
        engine.dispose()
        shutil.rmtree(spool, ignore_errors=True)
