"""One connected console: its cursors, and the bytes under way to it.

Frames are made one at a time, each when the one before has left: a slow or stopped console costs one frame
of memory, and its next batch is just a larger step.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

from asynctop.core.contract import Cursor
from asynctop.publisher.inspector import Inspection
from asynctop.publisher.owned import identity, release
from asynctop_protocol import (
    Chains,
    Connection,
    Hello,
    Inspect,
    Problem,
    ProtocolError,
    Role,
    Stalls,
    Subscribe,
    Tick,
)

SHORTEST_NS = 20_000_000
"""Fifty batches a second are as many as a screen can show."""

LONGEST_NS = 10_000_000_000
"""At ten seconds a console still looks alive."""

READ_BYTES = 64 * 1024


class Gone(Exception):  # noqa: N818 - an event rather than an error
    """The console has closed the connection, or made it unusable."""


class Client:
    """A console, seen from the publisher."""

    def __init__(self, sock: socket.socket, hello: Hello, cursor: Cursor) -> None:
        self.sock = sock
        self._ours = identity(sock)
        sock.setblocking(False)
        self.interval_ns: int | None = None
        """None until it subscribes."""
        self.due_ns = 0
        self.question: Inspect | None = None
        """One that has not been taken up yet; a newer one replaces it."""
        self.inspection: Inspection | None = None
        """The answer in the making."""
        self._cursor = cursor
        self._stalls_version = 0
        self._connection = Connection(Role.RUNTIME)
        self._answer: Chains | None = None
        """The slice of it that is to be sent next."""
        self._frames: Iterator[bytes] = _NOTHING
        # The hello goes out whatever follows: even a refusal makes no sense without it.
        self._out = memoryview(self._connection.send(hello))
        self._last_words = False

    def readable(self) -> None:
        """Take what has arrived. Raises Gone."""
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        try:
            messages = self._connection.receive(data)
        except ProtocolError as error:
            self.refuse(str(error))
            return
        for message in messages:
            if isinstance(message, Subscribe):
                self.interval_ns = min(max(message.interval_ns, SHORTEST_NS), LONGEST_NS)
                self.due_ns = 0
            elif isinstance(message, Inspect):
                self.question = message
            elif isinstance(message, Problem):
                raise Gone

    def close(self) -> None:
        """Close the connection."""
        release(self.sock, self._ours)

    def refuse(self, text: str) -> None:
        """Tell the console why this ends, and end it."""
        if not self._last_words:
            self._last_words = True
            self.interval_ns = None
            self._frames = iter((self._connection.send(Problem(text)),))

    def answer(self, inspection: Inspection, chains: Chains) -> None:
        """Send a slice of the answer to its question, unless it has asked another one meanwhile."""
        if inspection is self.inspection and not self._last_words:
            self._answer = chains

    @property
    def idle(self) -> bool:
        """Whether everything has left, so that the next batch may begin."""
        return not self._out and self._answer is None and self._frames is _NOTHING

    def begin(self, stalls: Callable[[int], tuple[int, Stalls]], tick: Callable[[], Tick]) -> None:
        """Begin a batch: everything that changed since the last one."""

        def batch() -> Iterator[bytes]:
            yield from self._cursor.frames()
            self._stalls_version, news = stalls(self._stalls_version)
            if news.stalls:
                yield self._connection.send(news)
            yield self._connection.send(tick())

        self._frames = batch()

    def writable(self) -> None:
        """Send the rest of a frame, or make the next one and send as much of it as goes. Raises Gone."""
        if not self._out:
            self._out = memoryview(self._next_frame())
        if not self._out:
            if self._last_words:
                raise Gone
            return
        try:
            self._out = self._out[self.sock.send(self._out) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise Gone from error

    def _next_frame(self) -> bytes:
        frame = next(self._frames, None)
        if frame is None:
            self._frames = _NOTHING
            if self._answer is not None:
                answer, self._answer = self._answer, None
                if self.inspection is not None and not answer.done:
                    self.inspection.proceed()
                return self._connection.send(answer)
            return b""
        return frame


_NOTHING: Iterator[bytes] = iter(())
