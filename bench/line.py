"""A TCP line to a server of this machine that is as long as one wishes, and counts what goes over it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

_COMMAND = re.compile(rb"^[A-Z]{4}\d+ (?:UID )?([A-Z]+)", re.MULTILINE)  # as imaplib tags them


@dataclass
class Talk:
    """One connection: the IMAP commands that were sent, and how many octets came back."""

    commands: list[str] = field(default_factory=list)
    received: int = 0


class Line:
    """Forwards to `port`, each octet half of `round_trip` seconds late, in order and without a limit of speed."""

    def __init__(self, port: int, round_trip: float = 0.0) -> None:
        self._upstream, self._late = port, round_trip / 2
        self.talks: list[Talk] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)  # The transports close.

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk()
        self.talks.append(talk)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(
                    self._pump(reader, up_writer, talk, up=True), self._pump(up_reader, writer, talk, up=False)
                )
        finally:
            writer.close()
            up_writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, talk: Talk, *, up: bool) -> None:
        while octets := await source.read(1 << 18):
            if up:
                talk.commands += [name.decode() for name in _COMMAND.findall(octets)]
            else:
                talk.received += len(octets)
            self._loop.call_later(self._late, sink.write, octets) if self._late else sink.write(octets)
        self._loop.call_later(self._late, sink.close)
