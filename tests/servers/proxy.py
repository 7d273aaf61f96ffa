"""A TCP proxy that breaks connections on purpose, at an octet or at a step of the protocol.

Only what is in the clear can be matched, so clients use tls "none" towards it: it listens on loopback.
"""

from __future__ import annotations

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
    the proxy is transparent. `seconds` belong to delay and to each octet of trickle, which lasts.
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
    """Proxies to a port of this machine. `change` may rewrite what goes by: (way, octets) -> octets."""

    upstream: int
    port: int = 0
    fault: Fault | None = None
    change: object = None
    connections: int = 0
    seen: dict[Way, bytearray] = field(default_factory=dict)

    def __enter__(self):
        self._stopped = threading.Event()
        self._threads = []
        self._sockets = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._sockets):
            _hang_up(sock)
        for thread in self._threads:
            thread.join(5)
        for sock in self._sockets:
            sock.close()

    def _start(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.upstream))
                for sock in (client, server):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._sockets.append(sock)
                self.connections += 1
                self.seen = {"to_client": bytearray(), "to_server": bytearray()}
                self._start(self._pump, client, server, "to_server", self.seen)
                self._start(self._pump, server, client, "to_client", self.seen)

    def _pump(self, source, sink, way, seen):
        slowly = 0.0
        with contextlib.suppress(OSError):
            while fresh := source.recv(65536):
                if self.change is not None:
                    fresh = self.change(way, fresh)
                fault = self.fault
                through = None if fault is None or fault.way != way else fault.split(bytes(seen[way]), fresh)
                seen[way] += fresh
                if through is None:
                    if not self._forward(fresh, sink, slowly):
                        break
                    continue
                fault.struck += 1
                sink.sendall(fresh[:through])
                if fault.what == "trickle":
                    slowly = fault.seconds
                if not self._strike(fault, fresh[through:], sink, sink if way == "to_client" else source):
                    break
        _hang_up(source)
        _hang_up(sink)

    def _strike(self, fault, rest, sink, client) -> bool:
        """Break it; whether the connection goes on."""
        match fault.what:
            case "cut":
                return False
            case "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # The other thread waits in recv: as long as it does, the kernel would not send the RST.
                client.shutdown(socket.SHUT_RD)
                client.close()
                return False
            case "stall":
                self._stopped.wait()
                return False
            case "delay":
                self._stopped.wait(fault.seconds)
                sink.sendall(rest)
            case "trickle":
                return self._forward(rest, sink, fault.seconds)
        return True

    def _forward(self, octets, sink, slowly) -> bool:
        """All at once, or one at a time; whether the connection goes on."""
        if not slowly:
            sink.sendall(octets)
            return True
        for octet in octets:
            sink.sendall(bytes([octet]))
            if self._stopped.wait(slowly):
                return False
        return True


def _hang_up(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxied():
    """Makes proxies before ports: `proxied(port)`."""
    with contextlib.ExitStack() as stack:
        yield lambda upstream: stack.enter_context(FaultProxy(upstream))
