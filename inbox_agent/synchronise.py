"""Octets → disk, several files at once: they share its writes and its journal instead of waiting one by one.

Acts: fsync, and nothing else. Who calls it passes a failpoint for each file.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

# Four at once: more gain nothing on one disk. They stay: to start four for each batch takes as long as 20 files.
_pool = ThreadPoolExecutor(4, "disk")


def synchronise(descriptors: Iterable[int]) -> dict[int, OSError]:
    """What the disk said of those that it refused; the others are durable.

    The next descriptor is asked for while those before it are under way.
    """
    under_way: dict[int, Future[OSError | None]] = {}
    try:
        for descriptor in descriptors:
            under_way[descriptor] = _pool.submit(_refusal, descriptor)
    finally:
        wait(under_way.values())  # Whatever happened, who opened them may close them now.
    answers = {descriptor: answer.result() for descriptor, answer in under_way.items()}
    return {descriptor: error for descriptor, error in answers.items() if error is not None}


def _refusal(descriptor: int) -> OSError | None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error
    return None
