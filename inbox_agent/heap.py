"""How memory is kept: by the C library, for a process that is to stay small, and by Python's collector of cycles."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE = 128 * 1024  # octets; glibc begins with it too, and raises it to the size of what was freed last


def keep_small() -> None:
    """Give back at once what messages took: 77 to 72-76 MB under normal load. One heap for all threads: 1 MB at rest.

    As MALLOC_MMAP_THRESHOLD_ and MALLOC_ARENA_MAX do, before the first thread (mallopt(3) of glibc, elsewhere nothing).
    Our threads take turns anyway.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_ARENA_MAX, 1)


def keep_loaded() -> None:
    """What is loaded by now stays: nobody looks for cycles in it, now and then (25 ms) or at the end (60 ms)."""
    gc.freeze()
