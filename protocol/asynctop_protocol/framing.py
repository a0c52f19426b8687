"""Frames: a length of 4 bytes, big-endian, then that many bytes of payload."""

from __future__ import annotations

from collections.abc import Iterator

from .errors import ProtocolError

HEADER_BYTES = 4
"""The length in front of each payload: unsigned, big-endian, not counting itself."""


def frame(payload: bytes) -> bytes:
    """The frame that carries this payload."""
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


class Deframer:
    """Cuts a stream of bytes into payloads.

    Keeps at most one unfinished frame between calls. A length beyond `limit` is refused as soon as it has
    arrived, before a byte of that payload is kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._unread = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take these bytes in; yield each payload that is now complete.

        Raises ProtocolError for a length beyond the limit. Exhaust the iterator before the next call.
        """
        unread = self._unread
        unread += data
        start = 0
        while len(unread) - start >= HEADER_BYTES:
            length = int.from_bytes(unread[start : start + HEADER_BYTES], "big")
            if length > self._limit:
                raise ProtocolError(f"expected a frame of at most {self._limit} bytes, found one of {length}")
            end = start + HEADER_BYTES + length
            if end > len(unread):
                break
            yield bytes(unread[start + HEADER_BYTES : end])
            start = end
        del unread[:start]

    def end(self) -> None:
        """The stream ended. Raises ProtocolError where that is in the middle of a frame."""
        if self._unread:
            raise ProtocolError(
                f"expected the rest of a frame, found the end after {len(self._unread)} bytes of it"
            )
