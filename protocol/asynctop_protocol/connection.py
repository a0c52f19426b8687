"""One end of a connection, without I/O: messages in, bytes out, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping

from .codec import decode, encode
from .errors import ProtocolError, VersionMismatch
from .framing import Deframer, frame
from .limits import MAX_FRAME_BYTES, MAX_REQUEST_BYTES
from .messages import VERSION, Hello, Inspect, Message, Problem, Role, Subscribe, Trace, Watch

_LIMIT: Mapping[Role, int] = {Role.CONSOLE: MAX_REQUEST_BYTES, Role.RUNTIME: MAX_FRAME_BYTES}
"""The largest payload that each role may send."""


def frames(message: Message) -> bytes:
    """The bytes to write for a message that a runtime sends, whatever else goes on in its connections.

    Mistakes of the caller raise as in `Connection.send`, except those of order and direction."""
    return _frames(message, _LIMIT[Role.RUNTIME])


def _frames(message: Message, limit: int) -> bytes:
    return b"".join(map(frame, encode(message, limit)))


class Connection:
    """The state of one connection, seen from the end that has the role `role`.

    A hostile peer can cause ProtocolError and nothing else, and makes us hold little more than one frame of
    what it sends: any other exception out of `receive` or `end` is our bug. After a ProtocolError the
    connection is dead: every further `receive` raises the same error. `send` keeps working, to tell the peer
    with a `Problem`.
    """

    def __init__(self, role: Role) -> None:
        self._role = role
        self._other = Role.RUNTIME if role is Role.CONSOLE else Role.CONSOLE
        self._frames = Deframer(_LIMIT[self._other])
        self._greeted = False
        self._error: ProtocolError | None = None
        self._peer: Hello | None = None

    @property
    def peer(self) -> Hello | None:
        """The peer's hello, once received."""
        return self._peer

    def send(self, message: Message) -> bytes:
        """The bytes to write for a message. The first one must be our own Hello.

        Mistakes of the caller raise ValueError (order, direction, contradicting rows, too large),
        OverflowError (an integer outside int64) or TypeError (a wrong type). No text fails and rows are split
        as needed: see `encode`.
        """
        name = type(message).__name__
        if isinstance(message, Hello) == self._greeted:
            raise ValueError(f"expected one Hello before anything else, found {name}")
        if isinstance(message, Hello) and message.role is not self._role:
            raise ValueError(f"expected the Hello of a {self._role}, found that of a {message.role}")
        if not _may_send(self._role, message):
            raise ValueError(f"expected a message that a {self._role} sends, found {name}")
        data = _frames(message, _LIMIT[self._role])
        self._greeted = True
        return data

    def receive(self, data: bytes) -> list[Message]:
        """The messages completed by these bytes, in order; messages of unknown types are left out.

        Raises ProtocolError, or VersionMismatch where the peer's Hello has another major version. Messages
        completed before the mistake by the same bytes are lost with it.
        """
        return [message for message, _ in self.receive_payloads(data)]

    def receive_payloads(self, data: bytes) -> list[tuple[Message, bytes]]:
        """The same, each message with what `decode` has made it from, for those who keep that."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        try:
            read = [(self._accept(payload), payload) for payload in self._frames.feed(data)]
            return [(message, payload) for message, payload in read if message is not None]
        except ProtocolError as error:
            self._error = error
            raise

    def end(self) -> None:
        """The peer closed the connection. Raises ProtocolError where that is in the middle of a frame."""
        if self._error is not None:
            raise self._error.with_traceback(None)
        self._frames.end()

    def _accept(self, payload: bytes) -> Message | None:
        message = decode(payload)
        name = "an unknown message" if message is None else type(message).__name__
        if isinstance(message, Hello) != (self._peer is None):
            raise ProtocolError(f"expected one Hello before anything else, found {name}")
        if isinstance(message, Hello):
            self._welcome(message)
        elif message is not None and not _may_send(self._other, message):
            raise ProtocolError(f"expected a message that a {self._other} sends, found {name}")
        return message

    def _welcome(self, hello: Hello) -> None:
        if hello.role is not self._other:
            raise ProtocolError(f"expected the Hello of a {self._other}, found that of a {hello.role}")
        if hello.protocol[0] != VERSION[0]:
            ours, theirs = (f"{major}.{minor}" for major, minor in (VERSION, hello.protocol))
            raise VersionMismatch(
                f"this {self._role} speaks protocol {ours}, the {hello.role} speaks {theirs}: "
                "install the same version of asynctop on both sides"
            )
        self._peer = hello


def _may_send(role: Role, message: Message) -> bool:
    if isinstance(message, Hello | Problem):
        return True
    return isinstance(message, Subscribe | Inspect | Watch | Trace) == (role is Role.CONSOLE)
