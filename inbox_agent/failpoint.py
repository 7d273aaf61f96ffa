"""Places where a test may end the process or make the world fail. They do nothing unless asked to.

`INBOX_AGENT_FAILPOINT=name:n:kill` ends the process with SIGKILL the n-th time `name` is reached;
`name:n:enospc` and `name:n:eio` raise OSError there; `*:n:kill` counts every point. Several are joined by
commas. `INBOX_AGENT_FAILPOINT_LOG=FILE` appends each name that is reached, so that a run can be enumerated.
Every commit, rename and network call of the acting modules passes one: a test reads the code for it.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from pathlib import Path

_PLAN = os.environ.get("INBOX_AGENT_FAILPOINT", "")
_LOG = os.environ.get("INBOX_AGENT_FAILPOINT_LOG", "")
_reached: Counter[str] = Counter()


def reach(name: str) -> None:
    """Pass the point `name`."""
    if _PLAN or _LOG:
        _pass(name)


def _pass(name: str) -> None:
    _reached[name] += 1
    _reached["*"] += 1
    if _LOG:
        with Path(_LOG).open("a", encoding="ascii") as log:
            log.write(f"{name}\n")
    for plan in filter(None, _PLAN.split(",")):
        wanted, count, fault = plan.split(":")
        if wanted in (name, "*") and _reached[wanted] == int(count):
            _fail(name, fault)


def _fail(name: str, fault: str) -> None:
    match fault:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        case "eio":
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)
        case _:
            raise ValueError(f"INBOX_AGENT_FAILPOINT: unknown fault {fault!r}")
