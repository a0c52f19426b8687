"""A recording as a source: its messages come when they came, faster, slower, or a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress

from asynctop_console.source.live import Phase, SourceState
from asynctop_console.source.recording import Recording
from asynctop_console.source.target import TargetError
from asynctop_protocol import Connection, ProtocolError
from asynctop_protocol.messages import Message, Role, Tick

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_USUAL = SPEEDS.index(1.0)

BEFORE_NS = 5_000_000_000
"""To show a moment, reading begins so long before it where it can: some figures are of the last 5 s."""


class ReplaySource:
    """A recording, played; see `Source`. It plays from the beginning when its messages are asked for, and
    `seek` says where they begin when they are asked for again."""

    def __init__(self, recording: Recording) -> None:
        self.target = recording.path.name
        self._recording = recording
        self._start_ns = self._at_ns = recording.from_ns
        self._playing = True
        self._speed = _USUAL
        self._steps = 0
        """Batches that are to come at once."""
        self._since, self._since_ns = 0.0, 0
        """A time of the event loop's clock, and the program's at that."""
        self._changed = asyncio.Event()

    @property
    def state(self) -> SourceState:
        """Where it is, in words."""
        sign = "▶" if self._playing else "■" if self.at_end else "‖"
        speed = f" ×{SPEEDS[self._speed]:g}" if self._speed != _USUAL else ""
        at, length = self._at_ns - self._recording.from_ns, self._recording.until_ns - self._recording.from_ns
        return SourceState(Phase.REPLAYING, f"{sign} {_minutes(at)} / {_minutes(length)}{speed}")

    @property
    def at_end(self) -> bool:
        """Whether the last batch has come."""
        return self._at_ns >= self._recording.until_ns

    def send(self, message: Message) -> None:
        """Nobody is there to hear it."""

    def toggle(self) -> None:
        """Play, or stop."""
        self._playing = not self._playing and not self.at_end
        self._changed.set()

    def step(self) -> None:
        """Stop, and let one batch come."""
        self._playing = False
        self._steps += 1
        self._changed.set()

    def faster(self, step: int) -> float:
        """The next speed (1) or the one before (-1). Returns how many seconds pass in one."""
        self._speed = min(max(self._speed + step, 0), len(SPEEDS) - 1)
        self._changed.set()
        return SPEEDS[self._speed]

    def seek(self, step_ns: int) -> None:
        """Where the next `messages` begin: so much later, or earlier, than now."""
        recording = self._recording
        self._start_ns = min(max(self._at_ns + step_ns, recording.from_ns), recording.until_ns)
        self._at_ns = self._start_ns

    async def messages(self) -> AsyncGenerator[Message, None]:
        """Those up to where it begins at once, the others in their time; see `Source`. It never ends: after
        the last one it stands still."""
        self._count_from(self._start_ns)
        for batch in batches(self._recording, self._start_ns):
            tick = batch[-1]
            assert isinstance(tick, Tick)
            if tick.at_ns > self._start_ns:
                await self._wait_for(tick.at_ns)
                self._at_ns = tick.at_ns
            for message in batch:
                yield message
        self._playing = False
        await asyncio.Event().wait()

    async def _wait_for(self, at_ns: int) -> None:
        """Wait until it is time for the batch of this time."""
        loop = asyncio.get_running_loop()
        while not self._steps:
            left = None
            if self._playing:
                left = (at_ns - self._since_ns) / 1e9 / SPEEDS[self._speed] - (loop.time() - self._since)
                if left <= 0:
                    return
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
            if self._changed.is_set():
                self._changed.clear()
                self._count_from(self._at_ns)
        self._steps -= 1

    def _count_from(self, at_ns: int) -> None:
        self._since, self._since_ns = asyncio.get_running_loop().time(), at_ns


def batches(recording: Recording, at_ns: int) -> Iterator[list[Message]]:
    """The messages of a recording from where one has to begin to know all about a moment: lists that end with
    a tick each. What was cut off before its tick is left out. TargetError where the recording is damaged."""
    connection = Connection(Role.CONSOLE)
    batch: list[Message] = []
    blocks = range(recording.begin_for(at_ns - BEFORE_NS), len(recording.blocks))
    for number in blocks:
        if recording.blocks[number].begins:
            connection = Connection(Role.CONSOLE)
        for data in recording.data(number):
            try:
                messages = connection.receive(data)
            except ProtocolError as error:
                raise TargetError(f"cannot understand {recording.path}: {error}") from None
            for message in messages:
                batch.append(message)
                if isinstance(message, Tick):
                    yield batch
                    batch = []


def _minutes(ns: int) -> str:
    """ "1:05", "1:00:00"."""
    minutes, seconds = divmod(max(ns, 0) // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
