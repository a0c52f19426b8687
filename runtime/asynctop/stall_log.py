"""The stalls that ended, for consoles that connect later: as frames of the wire, in one block of memory.

Kept as objects they would pin memory: each is made when the program is at its busiest, among what the program
gives back when the burst is over, and the interpreter returns no block with a live object in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

RETAINED = 256
"""Stalls kept at most."""

MAX_BYTES = 512 * 1024
"""Bytes kept at most: a stall with a deep stack takes several thousand."""

_HEADER = struct.Struct("=QI")
"""A stall's version, and the length of its frames."""


class StallLog:
    """The newest stalls, oldest first."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._count = 0

    def add(self, version: int, frames: bytes) -> None:
        """Keep a stall, and let go of the oldest ones beyond the bounds."""
        self._block += _HEADER.pack(version, len(frames)) + frames
        self._count += 1
        while self._count > RETAINED or len(self._block) > MAX_BYTES:
            _, length = _HEADER.unpack_from(self._block)
            del self._block[: _HEADER.size + length]
            self._count -= 1

    def since(self, version: int) -> Iterator[bytes]:
        """The frames of the stalls after `version`."""
        start = 0
        while start < len(self._block):
            at, length = _HEADER.unpack_from(self._block, start)
            start += _HEADER.size
            if at > version:
                yield bytes(self._block[start : start + length])
            start += length
