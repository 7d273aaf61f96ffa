"""Register and board rebuilt in a process of their own, which takes its memory with it; see publish.py.

It is this module as a program: what it is to do comes on its standard input, from its parent alone. It writes the
archive and reads the store. The parent waits for it, so that nobody else changes what it reads.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

from inbox_agent.errors import AgentError, FileStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inbox_agent.config import Config

_COMMAND = (sys.executable, "-I", "-m", "inbox_agent.rebuild_apart")


def run(config: Config, stale: Sequence[str]) -> None:
    """Have the registers of those offers written, and the board. Raises FileStoreError."""
    order = pickle.dumps((config, list(stale)))
    ended = subprocess.run(  # noqa: S603 - our own interpreter and module
        _COMMAND, input=order, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1] if said and ended.returncode == 1 else f"its process ended with {ended.returncode}"
        raise FileStoreError(f"register and board could not be written ({why}). It is tried again.")


def main() -> None:
    """As the child."""
    from inbox_agent.installation import opened  # noqa: PLC0415 - the parent has it
    from inbox_agent.publish import rebuild  # noqa: PLC0415 - the same

    config, stale = pickle.load(sys.stdin.buffer)  # noqa: S301 - our parent's
    try:
        with opened(config) as installation:
            rebuild(installation, stale)
    except AgentError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
