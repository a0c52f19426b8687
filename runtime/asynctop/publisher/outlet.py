"""A console's outgoing half where the core does not send by itself: driven by the publisher's own thread.

Frames are made one at a time, each when the one before has left: a slow or stopped console costs one frame
of memory, and its next batch is just a larger step.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence

from asynctop.core.contract import Cursor

MANY_BYTES = 256 * 1024
"""Put in between, and not sent yet: somebody does not read."""


class Outlet:
    """See `asynctop.core.contract.Outlet`. Whoever puts something in looks again later: there is no bell."""

    def __init__(self, sock: socket.socket, cursor: Cursor) -> None:
        self._sock = sock
        self._cursor = cursor
        self._interval_ns = 0
        self._due_ns = 0
        self._batch: Iterator[bytes] | None = None
        self._between = bytearray()
        self._out = memoryview(b"")
        self._finishing = self._last = self._finished = False

    def put(self, frames: bytes, *, last: bool = False) -> bool:
        """Send these frames between others; after the `last` ones nothing more is sent."""
        if len(self._between) >= MANY_BYTES and not last:
            return False
        self._between += frames
        if last:
            self._last = True
            self._interval_ns = 0
            self._batch = None
        return True

    def subscribe(self, interval_ns: int) -> None:
        """Send a batch now, and one every so often from now on."""
        self._interval_ns = interval_ns
        self._due_ns = 0

    def watch(self, tasks: Sequence[int]) -> None:
        """As the cursor's."""
        self._cursor.watch(tasks)

    def trace(self, after: int) -> None:
        """As the cursor's."""
        self._cursor.trace(after)

    def finish(self) -> None:
        """Send one batch more, of all that there is to tell by then, and then nothing."""
        self._finishing = True
        self._due_ns = 0

    def finished(self) -> bool:
        """Whether nothing more is sent: the last frames have left, or the socket is broken."""
        return self._finished

    def close(self) -> None:
        """Nothing is kept of the socket."""
        self._cursor.watch(())
        self._cursor.trace(None)

    # -- for the publisher's thread --

    def due_ns(self) -> int | None:
        """When a batch is to begin; None while there is none to come, or one is under way."""
        idle = not self._finished and not self.wants_to_write()
        return self._due_ns if self._interval_ns and idle else None

    def begin(self, now_ns: int) -> None:
        """Begin a batch: everything that changed since the last one."""
        self._batch = self._cursor.frames(last=self._finishing)
        self._due_ns = now_ns + self._interval_ns
        self._last = self._finishing

    def wants_to_write(self) -> bool:
        """Whether `writable` is to be called when the socket is."""
        return bool(self._out or self._between or self._batch is not None) and not self._finished

    def writable(self) -> None:
        """Send the rest of a frame, or make the next one and send as much of it as goes."""
        if not self._out:
            self._out = memoryview(self._next_frame())
        try:
            self._out = self._out[self._sock.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError:
            self._finished = True
        if self._last and not self._out and not self._between and self._batch is None:
            self._finished = True

    def _next_frame(self) -> bytes:
        if self._between:
            between, self._between = self._between, bytearray()
            return bytes(between)
        frame = next(self._batch, None) if self._batch is not None else None
        if frame is None:
            self._batch = None
        return frame or b""
