"""A TCP proxy that breaks connections on purpose, at an octet or at a step of the protocol.

Only what is in the clear can be matched, so clients use tls "none" towards it: it listens on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import Literal

import pytest

Way = Literal["to_client", "to_server"]
What = Literal["cut", "reset", "stall", "trickle", "delay"]


@dataclass
class Fault:
    """What is done, once so much has gone by that `pattern` was seen or `octets` were forwarded that way.

    `before`: what matched is withheld, else it is still forwarded whole. `times` connections suffer it, then
    the proxy is transparent. `seconds` belong to delay and to each octet of trickle.
    """

    what: What
    way: Way = "to_client"
    pattern: bytes | None = None
    octets: int = 0
    before: bool = False
    times: int = 1
    seconds: float = 0.05
    struck: int = 0

    def split(self, seen: bytes, fresh: bytes) -> int | None:
        """How many of the fresh octets go through before it strikes; None if it does not yet."""
        if self.struck >= self.times:
            return None
        if self.pattern is None:
            return self.octets - len(seen) if len(seen) + len(fresh) >= self.octets else None
        match = re.search(self.pattern, seen + fresh, re.DOTALL)
        if match is None:
            return None
        return max(0, (match.start() if self.before else match.end()) - len(seen))


@dataclass
class FaultProxy:
    upstream: int
    port: int = 0
    fault: Fault | None = None
    connections: int = 0
    seen: dict[Way, bytearray] = field(default_factory=dict)

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.seen = {"to_client": bytearray(), "to_server": bytearray()}
        seen = self.seen
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.close()
            return
        pumps = [
            asyncio.create_task(self._pump(reader, there_writer, "to_server", seen, writer)),
            asyncio.create_task(self._pump(there_reader, writer, "to_client", seen, writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for one in (writer, there_writer):
            one.close()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        way: Way,
        seen: dict[Way, bytearray],
        client: asyncio.StreamWriter,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while fresh := await reader.read(65536):
                fault = self.fault
                through = None if fault is None or fault.way != way else fault.split(bytes(seen[way]), fresh)
                seen[way] += fresh
                if fault is None or through is None:
                    writer.write(fresh)
                    await writer.drain()
                    continue
                writer.write(fresh[:through])
                await writer.drain()
                fault.struck += 1
                if not await self._strike(fault, fresh[through:], writer, client):
                    return

    async def _strike(
        self, fault: Fault, rest: bytes, writer: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> bool:
        """Break it; whether the connection goes on."""
        match fault.what:
            case "cut":
                return False
            case "reset":
                sock = client.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.transport.abort()
                return False
            case "stall":
                await asyncio.Event().wait()
            case "delay":
                await asyncio.sleep(fault.seconds)
                writer.write(rest)
            case "trickle":
                for octet in rest:
                    writer.write(bytes([octet]))
                    await writer.drain()
                    await asyncio.sleep(fault.seconds)
        return True


@contextlib.contextmanager
def fault_proxy(upstream: int):
    """A proxy before a port of this machine, while the context lasts."""
    proxy = FaultProxy(upstream)
    ready = threading.Event()
    box = {}

    async def main() -> None:
        box["loop"], box["stop"] = asyncio.get_running_loop(), asyncio.Event()
        await proxy.serve(ready, box["stop"])

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="fault-proxy", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        box["loop"].call_soon_threadsafe(box["stop"].set)
        thread.join()


@pytest.fixture
def proxied():
    """Makes proxies before ports: `proxied(port)`."""
    with contextlib.ExitStack() as stack:
        yield lambda upstream: stack.enter_context(fault_proxy(upstream))
