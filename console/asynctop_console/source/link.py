"""One connection to one program, from connect to close."""

from __future__ import annotations

import asyncio
import os
import socket

from asynctop_console.clean import clean, clean_hello
from asynctop_console.source.peer import peer_uid
from asynctop_console.source.target import INSTRUMENT, DeadSocketError, SilentError, Target, TargetError
from asynctop_protocol import Connection, ProtocolError
from asynctop_protocol.messages import Hello, Message, Problem, Role

HELLO_TIMEOUT_S = 5.0
"""A program whose C code holds the interpreter's lock answers when it lets go."""

_CHUNK = 256 * 1024
_READ = 64 * 1024
"""Bytes read from the socket at a time: the transport allocates as many for each read, and what is larger is
mapped anew by the system, page by page, which takes longer than the reading."""
_MOST_UNSENT = 1 << 20
"""Our messages are small and few: with so much unsent, nobody is reading."""


class Link:
    """An open connection. Every failure is a `TargetError`."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.target = target
        self.payloads: list[bytes] = []
        """What the messages were read from that came last, one each."""
        self._reader = reader
        self._writer = writer
        self._connection = Connection(Role.CONSOLE)
        self._problem = ""

    @classmethod
    async def open(cls, target: Target) -> Link:
        """Connect, make sure that the peer is the user's own, say hello."""
        try:
            reader, writer = await asyncio.open_unix_connection(target.path, limit=_CHUNK)
        except (OSError, ValueError) as error:
            raise _refused(target, error) from None
        writer.transport.max_size = _READ  # type: ignore[attr-defined]
        link = cls(target, reader, writer)
        try:
            link._check_peer(writer.get_extra_info("socket"))
            link.send(Hello(Role.CONSOLE))
        except BaseException:
            link.close()
            raise
        return link

    @property
    def hello(self) -> Hello | None:
        """The program's hello, once it has come."""
        return self._connection.peer

    def send(self, message: Message) -> None:
        """Send a message, without waiting until it is read."""
        if self._writer.transport.get_write_buffer_size() > _MOST_UNSENT:
            raise SilentError(f"{self.target} does not read what it is sent: is it stopped?")
        self._writer.write(self._connection.send(message))

    async def receive(self) -> list[Message]:
        """The messages that came next, at least one; an empty list once the connection is closed."""
        while True:
            try:
                data = await self._reader.read(_CHUNK)
            except OSError:
                data = b""
            try:
                if not data:
                    self._connection.end()
                    break
                came = self._connection.receive_payloads(data)
            except ProtocolError as error:
                raise self._misunderstood(error) from None
            messages = [message for message, _ in came]
            self.payloads = [payload for _, payload in came]
            for message in messages:
                if isinstance(message, Problem):
                    self._problem = clean(message.text)
            if messages:
                return messages
        if self._problem:
            raise TargetError(f"{self.target} closed the connection: {self._problem}")
        if self.hello is None:
            raise TargetError(f"{self.target} closed the connection without a word: try again")
        return []

    async def greeting(self, timeout_s: float = HELLO_TIMEOUT_S) -> list[Message]:
        """Wait for the first messages, the hello at their head. SilentError if it takes too long."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self.receive()
        except TimeoutError:
            raise SilentError(f"{self.target} has not answered in {timeout_s:g} s: is it stopped?") from None

    def close(self) -> None:
        """Close the connection at once."""
        self._writer.transport.abort()

    def _check_peer(self, connected: socket.socket) -> None:
        uid = peer_uid(connected)
        if uid is not None and uid != os.getuid():
            raise TargetError(
                f"{self.target} runs as user {uid}, you are {os.getuid()}: run asynctop as that user"
            )

    def _misunderstood(self, error: ProtocolError) -> TargetError:
        # A program that speaks another version may say more clearly what is wrong than we can.
        reason = self._problem or clean(str(error))
        return TargetError(f"cannot understand {self.target}: {reason}")


def _refused(target: Target, error: OSError | ValueError) -> TargetError:
    if isinstance(error, FileNotFoundError):
        return DeadSocketError(
            f"{target.path} is gone, and so is its program: `asynctop ls` shows which there are"
        )
    if isinstance(error, ConnectionRefusedError):
        return DeadSocketError(f"nobody listens at {target.path}: its program is gone, or {INSTRUMENT}")
    if isinstance(error, PermissionError):
        return TargetError(f"{target.path} belongs to another user: run asynctop as that user")
    return TargetError(f"cannot connect to {target.path}: {error}")


async def greet(target: Target, timeout_s: float = HELLO_TIMEOUT_S) -> Hello:
    """Connect, take the program's hello, hang up. TargetError where that fails."""
    link = await Link.open(target)
    try:
        await link.greeting(timeout_s)
        if link.hello is None:
            raise TargetError(f"{target} closed the connection without a word: try again")
        return clean_hello(link.hello)
    finally:
        link.close()
