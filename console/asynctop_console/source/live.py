"""Sources of messages: a live program behind a Unix socket, reached again when it was lost."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from asynctop_console.source.link import Link
from asynctop_console.source.retry import Retry
from asynctop_console.source.target import DeadSocketError, SilentError, Target, TargetError, is_running
from asynctop_protocol.messages import Message, Subscribe, Watch


class Phase(enum.Enum):
    """How a source stands with its target."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"
    """Lost; tried again at `SourceState.retry_at`."""
    EXITED = "exited"
    """The program has ended; nothing will come any more."""
    REPLAYING = "replaying"
    """A recording: `SourceState.text` says where it is."""
    FAILED = "failed"
    """It is no use trying again; `SourceState.text` says why."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """A phase, and what there is to say about it."""

    phase: Phase
    text: str = ""
    """One line for a person, empty where the phase says all."""
    tries: int = 0
    """Failures in a row."""
    retry_at: float = 0.0
    """Time of the event loop's clock at which it is tried again."""


class Source(Protocol):
    """Where messages come from: a program, a recording."""

    @property
    def state(self) -> SourceState:
        """How it stands at the moment."""

    @property
    def payload(self) -> bytes:
        """What the message was read from that came last; empty where nobody need keep it."""

    def messages(self) -> AsyncGenerator[Message, None]:
        """Every message, from the hello on; after a reconnect a hello again. To be iterated once.

        It ends when nothing more can come; `TargetError` where the target is not what it should be.
        Closing it (`contextlib.aclosing`) closes the connection.
        """

    def send(self, message: Message) -> None:
        """Send to the runtime; lost where not connected, but the last `Subscribe` and the last `Watch` are
        sent on (re)connect."""


class SocketSource:
    """A live program; see `Source`."""

    def __init__(self, target: Target, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.target = target
        self.payload = b""
        self._sleep = sleep
        self._state = SourceState(Phase.CONNECTING)
        self._link: Link | None = None
        self._wishes: dict[type[Message], Message] = {}
        """What holds until the next of its type."""
        self._pid = target.pid

    @property
    def state(self) -> SourceState:
        """How it stands at the moment."""
        return self._state

    def send(self, message: Message) -> None:
        """Send to the runtime; see `Source`."""
        if isinstance(message, Subscribe | Watch):
            self._wishes[type(message)] = message
        if self._link is not None and self._state.phase is Phase.LIVE:
            try:
                self._link.send(message)
            except SilentError:
                # The reader then sees the end of the connection, and takes it from there.
                self._link.close()

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Every message; see `Source`."""
        retry = Retry()
        ever_connected = False
        while True:
            lost = ""
            try:
                async with aclosing(self._connection()) as connection:
                    async for message in connection:
                        retry = Retry()
                        ever_connected = True
                        yield message
            except (DeadSocketError, SilentError) as error:
                lost = str(error)
                if not ever_connected:
                    self._state = SourceState(Phase.FAILED, lost)
                    raise
            except TargetError as error:
                self._state = SourceState(Phase.FAILED, str(error))
                raise
            if self._pid and not is_running(self._pid):
                self._state = SourceState(Phase.EXITED, f"{self.target} has exited")
                return
            retry = retry.failed()
            at = asyncio.get_running_loop().time() + retry.delay_s
            self._state = SourceState(Phase.WAITING, lost, retry.tries, at)
            await self._sleep(retry.delay_s)

    async def _connection(self) -> AsyncGenerator[Message, None]:
        """The messages of one connection."""
        link = self._link = await Link.open(self.target)
        try:
            for wish in self._wishes.values():
                link.send(wish)
            messages = await link.greeting()
            if link.hello is not None:
                self._pid = link.hello.pid or self._pid
            self._state = SourceState(Phase.LIVE)
            while messages:
                for message, self.payload in zip(messages, link.payloads, strict=True):
                    yield message
                await asyncio.sleep(0)  # a flood never makes `receive` wait, and others want their turn
                messages = await link.receive()
        finally:
            self._link = None
            link.close()
