"""Random bytes for ids, drawn from the system's generator in bulk.

A draw is a system call that lets go of the interpreter's lock, which costs a request more than all
else that makes its id. Ids may share a draw; keys and secrets take `os.urandom` themselves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_DRAWN = 4096


class Entropy:
    """Hands out what it has drawn, each byte once; `draw` answers so many random bytes."""

    def __init__(self, draw: Callable[[int], bytes] = os.urandom, drawn: int = _DRAWN) -> None:
        self._draw = draw
        self._drawn = drawn
        self._lock = threading.Lock()
        self._bytes = b""
        self._at = 0

    def __call__(self, count: int) -> bytes:
        """So many random bytes; at most as many as are drawn at once."""
        with self._lock:
            end = self._at + count
            if end > len(self._bytes):
                self._bytes, end = self._draw(self._drawn), count
            taken = self._bytes[end - count : end]
            self._at = end
        return taken

    def forget(self) -> None:
        """Drops what is drawn: a forked child must not hand out what its parent does."""
        self._lock = threading.Lock()  # the parent's may have been held
        self._bytes, self._at = b"", 0


shared = Entropy()
os.register_at_fork(after_in_child=shared.forget)
