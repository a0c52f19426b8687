"""A recording as a source: its messages come when they came, faster, slower, or a batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import numpy as np

from asynctop_console.model.times import minutes
from asynctop_console.source.live import Phase, SourceState
from asynctop_console.source.recording import Recording
from asynctop_console.source.target import TargetError
from asynctop_protocol import Connection, ProtocolError, frames
from asynctop_protocol.messages import Hello, History, Message, Role, Tick, Watch

SPEEDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_USUAL = SPEEDS.index(1.0)

BEFORE_NS = 5_000_000_000
"""To show a moment, reading begins so long before it where it can: some figures are of the last 5 s."""

_COLUMNS = [field.name for field in fields(History) if field.type == "Column"]

_BACK_BYTES = 8 << 20
"""How far to look back in the file for the history of a task: a fraction of a second's reading."""


class ReplaySource:
    """A recording, played; see `Source`. It plays from the beginning when its messages are asked for, and
    `seek` says where they begin when they are asked for again."""

    def __init__(self, recording: Recording) -> None:
        self.target = recording.path.name
        self.payload = b""
        self._recording = recording
        self._start_ns = self._at_ns = recording.from_ns
        self._playing = True
        self._speed = _USUAL
        self._steps = 0
        """Batches that are to come at once."""
        self._since, self._since_ns = 0.0, 0
        """A time of the event loop's clock, and the program's at that."""
        self._watched: frozenset[int] = frozenset()
        """The tasks whose history is told; they are to be"""
        self._to_watch = self._watched
        self._told_ns = 0
        """The last tick that has come."""
        self._over = False
        """There is no further batch."""
        self._changed = asyncio.Event()

    @property
    def state(self) -> SourceState:
        """Where it is, in words."""
        sign = "▶" if self._playing else "■" if self.at_end else "‖"
        speed = f" ×{SPEEDS[self._speed]:g}" if self._speed != _USUAL else ""
        at, length = self._at_ns - self._recording.from_ns, self._recording.until_ns - self._recording.from_ns
        cut = " cut off here" if self._over and at < length else ""
        return SourceState(Phase.REPLAYING, f"{sign} {minutes(at)} / {minutes(length)}{cut}{speed}")

    @property
    def at_end(self) -> bool:
        """Whether the last batch has come."""
        return self._over or self._at_ns >= self._recording.until_ns

    def send(self, message: Message) -> None:
        """Nobody is there to hear it. But of tasks that are watched, the history comes that the recording
        has of a trace."""
        if isinstance(message, Watch):
            self._to_watch = frozenset(message.tasks)
            self._changed.set()

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
        self._watched, self._told_ns, self._over = frozenset(), 0, False
        for batch in batches(self._recording, self._start_ns, lambda: bool(self._watched)):
            tick = batch[-1]
            assert isinstance(tick, Tick)
            while tick.at_ns > self._start_ns and not await self._is_time_for(tick.at_ns):
                for message in self._look_back():
                    yield message
            self._at_ns = max(tick.at_ns, self._start_ns)
            for message in _of_tasks(batch, self._watched):
                yield message
            self._told_ns = tick.at_ns
        self._playing, self._over = False, True
        # Where the file is cut off, that is before its end.
        self._at_ns = max(self._told_ns, self._recording.from_ns)
        while True:
            for message in self._look_back():
                yield message
            await self._changed.wait()
            self._changed.clear()

    async def _is_time_for(self, at_ns: int) -> bool:
        """Wait until it is time for the batch of this time, or other tasks are watched: then it is not."""
        loop = asyncio.get_running_loop()
        while self._watched == self._to_watch:
            if self._steps:
                self._steps -= 1
                return True
            left = None
            if self._playing:
                left = (at_ns - self._since_ns) / 1e9 / SPEEDS[self._speed] - (loop.time() - self._since)
                if left <= 0:
                    return True
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()
            if self._changed.is_set():
                self._changed.clear()
                self._count_from(self._at_ns)
        return False

    def _look_back(self) -> Iterator[Message]:
        """The history that would have come by now, of those that are watched only now."""
        late, self._watched = self._to_watch - self._watched, self._to_watch
        if late:
            begin = self._recording.begin_within(_BACK_BYTES, self._told_ns)
            for batch in _batches(self._recording, begin, lambda: True):
                if batch[-1].at_ns > self._told_ns:  # type: ignore[union-attr]
                    break
                yield from (message for message in _of_tasks(batch, late) if isinstance(message, History))

    def _count_from(self, at_ns: int) -> None:
        self._since, self._since_ns = asyncio.get_running_loop().time(), at_ns


def batches(
    recording: Recording, at_ns: int, polls: Callable[[], bool] = lambda: True
) -> Iterator[list[Message]]:
    """The messages of a recording from where one has to begin to know all about a moment: lists that end with
    a tick each. What was cut off before its tick is left out. TargetError where the recording is damaged.

    Where `polls` says no, those of a trace may be left out of a batch: they take longer than all else.
    """
    return _batches(recording, recording.begin_for(at_ns - BEFORE_NS), polls)


def _batches(recording: Recording, begin: int, polls: Callable[[], bool]) -> Iterator[list[Message]]:
    """From this block on."""
    connection, begun = Connection(Role.CONSOLE), list[Message]()
    for number in range(begin, len(recording.blocks)):
        if recording.blocks[number].begins:
            connection, begun = Connection(Role.CONSOLE), []
        # Nothing of these is read until they are asked for.
        traced = _split(recording, recording.polls(number), _greeted(), [])
        for batch in _split(recording, recording.data(number), connection, begun):
            if polls():
                batch[-1:-1] = next((found[:-1] for found in traced if found[-1] == batch[-1]), ())
            yield batch


def _split(
    recording: Recording, pieces: Iterator[bytes], connection: Connection, begun: list[Message]
) -> Iterator[list[Message]]:
    """The batches in the pieces of a stream. `begun` is what came before of the first, and in the end of the
    next."""
    for data in pieces:
        try:
            messages = connection.receive(data)
        except ProtocolError as error:
            raise TargetError(f"cannot understand {recording.path}: {error}") from None
        for message in messages:
            begun.append(message)
            if isinstance(message, Tick):
                yield begun.copy()
                begun.clear()


def _greeted() -> Connection:
    """A connection on which the program has said hello."""
    connection = Connection(Role.CONSOLE)
    connection.receive(frames(Hello(Role.RUNTIME)))
    return connection


def _of_tasks(batch: list[Message], tasks: Collection[int]) -> Iterator[Message]:
    """The messages of a batch, with the history of these tasks alone."""
    for message in batch:
        if not isinstance(message, History):
            yield message
        elif tasks and (its := np.isin(message.task, list(tasks))).any():
            columns = {name: np.asarray(getattr(message, name)) for name in _COLUMNS}
            told: dict[str, Any] = {name: column[its] for name, column in columns.items() if len(column)}
            yield replace(message, **told)
