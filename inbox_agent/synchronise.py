"""Octets → disk, several files at once: they share its writes and its journal instead of waiting one by one.

Acts: fsync, and nothing else. Who calls it passes a failpoint for each file.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_AT_ONCE = 4  # more gain nothing on one disk


def synchronise(descriptors: Iterable[int]) -> dict[int, OSError]:
    """What the disk said of those that it refused; the others are durable.

    The next descriptor is asked for while those before it are under way.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        under_way = {descriptor: pool.submit(_refusal, descriptor) for descriptor in descriptors}
        answers = {descriptor: answer.result() for descriptor, answer in under_way.items()}
    return {descriptor: error for descriptor, error in answers.items() if error is not None}


def _refusal(descriptor: int) -> OSError | None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        return error
    return None
