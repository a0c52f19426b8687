"""`asynctop record`: what a program sends, into a file.

Now and then it connects anew, and the file goes on with what a new console is told, which is everything: that
is where a replay can begin. The program notices one console more for a moment, and nothing else. A trace goes
on over it without a gap.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from asynctop_console.source.link import Link
from asynctop_console.source.recording import Writer
from asynctop_console.source.target import DeadSocketError, SilentError, Target
from asynctop_protocol.framing import frame
from asynctop_protocol.messages import Chains, History, Inspect, Message, Subscribe, Tick, Trace

_INTERVAL_NS = 100_000_000
_BLOCK_S = 1.0
_BLOCK_BYTES = 4 << 20
"""A block is written after so long or so much: no more than that is lost when we are killed."""
_SECTION_NS = 8_000_000_000
"""Of one connection, before it connects anew: to show any moment of it takes a tenth of a second. And"""
_SHARE = 2
"""times as much news as all the state that it began with, so that most of the file is news."""
_INSPECT_S = 2.0
"""Between two questions for the await chains, and"""
_INSPECT_SHARE = 10
"""times as long as the last answer took: in a large crowd they are asked for less often."""

_GRACE_S = 10.0
"""How long a program may be silent after its time: one that is stopped, or stuck, says nothing."""

_Result = TypeVar("_Result")

_KEPT = -1
"""See `Trace.after`: what a flight recorder has kept belongs to the recording."""


class Progress(NamedTuple):
    """How far a recording is."""

    seconds: float
    """Of the program's time, from the first tick on."""
    written: int
    """Bytes."""
    connections: int
    polls: int
    """Traced."""
    lost: int
    """Polls that should have been, but the program had no room for them until we read."""


class _Stream:
    """Frames, batch by batch."""

    def __init__(self) -> None:
        self.whole = bytearray()
        """Those of whole batches that have not been written."""
        self._begun = bytearray()

    def add(self, payload: bytes) -> None:
        """Of the batch that has begun."""
        self._begun += frame(payload)

    def tick(self, payload: bytes) -> int:
        """The batch is whole. Returns its length."""
        self.add(payload)
        length = len(self._begun)
        self.whole += self._begun
        self._begun.clear()
        return length

    def take(self) -> bytes:
        """What there is to write."""
        data = bytes(self.whole)
        self.whole.clear()
        return data


class _Section:
    """One connection that is recorded: its link, and what of it has not been written yet."""

    def __init__(self, traced: int | None) -> None:
        """`traced`: the trace goes on after this poll, 0 being none; None: there is to be none."""
        self.link: Link
        self._traces = traced is not None
        self.begun = False
        """Whether its first block has been written."""
        self._told, self._told_polls = _Stream(), _Stream()
        """All but the polls of a trace, and those, both with all ticks."""
        self._size = 0
        """All it has told but polls, in bytes."""
        self._state_size = 0
        """What of this came up to the first tick."""
        self._began_ns = 0
        """That tick."""
        self.from_ns = 0
        """The first tick that has not been written; 0 where there is none."""
        self.until_ns = 0
        """The last tick."""
        self._resumes = self._traced = traced or 0
        """The number of the last poll of the trace up to that, or that has come."""
        self.polls = self._polls = self.lost = 0
        """Of the trace, likewise."""
        self._request = 0
        self._asked_at = self._ask_at = 0.0

    @classmethod
    async def open(cls, target: Target, traced: int | None) -> _Section:
        """Connect, and wait for all of the program's state."""
        section = cls(traced)
        section.link = await Link.open(target)
        try:
            section.link.send(Subscribe(_INTERVAL_NS))
            if traced is not None:
                section.link.send(Trace(traced or _KEPT))
            section._look(await section.link.greeting())
            while not section.until_ns:
                await section.proceed()
        except BaseException:
            section.close()
            raise
        return section

    async def proceed(self) -> None:
        """Wait for what comes next; ask for await chains when it is time to. DeadSocketError at the end."""
        messages = await self.link.receive()
        if not messages:
            raise DeadSocketError("the program has closed the connection")
        self._look(messages)

    def _look(self, messages: list[Message]) -> None:
        now = time.monotonic()
        for message, payload in zip(messages, self.link.payloads, strict=True):
            if isinstance(message, Tick):
                self._size += self._told.tick(payload)
                if self._traces:
                    self._told_polls.tick(payload)
                self._state_size = self._state_size or self._size
                self._began_ns = self._began_ns or message.at_ns
                self.from_ns = self.from_ns or message.at_ns
                self.until_ns = message.at_ns
                self._resumes, self.polls = self._traced, self._polls
                self.lost = message.dropped.get("trace", 0)
                continue
            if isinstance(message, History):
                self._told_polls.add(payload)
                self._polls += len(message.task)
                self._traced = message.first + len(message.task) - 1
                continue
            self._told.add(payload)
            if isinstance(message, Chains) and message.done:
                self._ask_at = now + max(_INSPECT_S, (now - self._asked_at) * _INSPECT_SHARE)
        if self.until_ns and now >= self._ask_at:
            self._request += 1
            self._asked_at, self._ask_at = now, float("inf")
            self.link.send(Inspect(self._request, [], stranded=True))

    def is_long(self) -> bool:
        """Whether it is time to connect anew."""
        return is_long(self.until_ns - self._began_ns, self._size, self._state_size)

    @property
    def resumes(self) -> int | None:
        """The last poll of its trace, after which another one goes on; None where there is no trace."""
        return self._resumes if self._traces else None

    @property
    def unwritten(self) -> int:
        """Bytes that there are to write."""
        return len(self._told.whole) + len(self._told_polls.whole)

    def write(self, writer: Writer) -> None:
        """Write what there is to write."""
        if self.from_ns:
            begun, from_ns, until_ns = self.begun, self.from_ns, self.until_ns
            writer.add(self._told.take(), begins=not begun, from_ns=from_ns, until_ns=until_ns)
            if self._traces:
                polls = self._told_polls.take()
                writer.add(polls, begins=False, from_ns=from_ns, until_ns=until_ns, polls=True)
            self.begun, self.from_ns = True, 0

    def close(self) -> None:
        """Hang up."""
        self.link.close()


def is_long(length_ns: int, size: int, state_size: int) -> bool:
    """Whether a connection of this length should end, and another one begin, that has told so much, all the
    state included, without the polls of a trace."""
    return length_ns >= _SECTION_NS and size >= (1 + _SHARE) * state_size


async def record(
    target: Target, writer: Writer, seconds: float | None, tell: Callable[[Progress], None], *, trace: bool
) -> tuple[Progress, str]:
    """Record a program until it ends, for so many seconds of its time, or until SIGINT or SIGTERM; with
    `trace` each poll of each task, too.

    Returns how far it came, and why it ended, in a few words. Raises TargetError where not even a beginning
    came, and OSError where the file cannot be written.
    """
    until = None if seconds is None else asyncio.get_running_loop().time() + seconds + _GRACE_S
    try:
        async with asyncio.timeout_at(until):
            section = await _Section.open(target, 0 if trace else None)
    except TimeoutError:
        raise SilentError(f"{target} has sent nothing to record: is it stopped?") from None
    recorder = _Recorder(target, writer, section)
    try:
        async with asyncio.timeout_at(until):
            why = await recorder.go_on(seconds, tell)
    except (TimeoutError, SilentError, DeadSocketError) as error:
        why = _WHY[type(error)]
    finally:
        recorder.section.close()
    return recorder.write(), why


_WHY: dict[type[Exception], str] = {
    TimeoutError: "the time is over, and the program has been silent",
    SilentError: "the program does not answer",
    DeadSocketError: "the program has ended",
}


class _Recorder:
    """A recording that has begun."""

    def __init__(self, target: Target, writer: Writer, section: _Section) -> None:
        self._target = target
        self._writer = writer
        self.section = section
        self._first_ns = section.until_ns
        self._connections = 1
        self._polls = self._lost = 0
        """Of the connections before."""

    async def go_on(self, seconds: float | None, tell: Callable[[Progress], None]) -> str:
        """Record for so long, or until a signal. Returns why it ended."""
        write_at = 0.0
        with _signals() as stopped:
            while not stopped.is_set():
                section = self.section
                if section.begun and section.is_long():
                    await self._connect_anew(stopped)
                elif time.monotonic() >= write_at or section.unwritten >= _BLOCK_BYTES:
                    tell(self.write())
                    write_at = time.monotonic() + _BLOCK_S
                elif seconds is not None and section.until_ns - self._first_ns >= seconds * 1e9:
                    return "the time is over"
                else:
                    await _unless(stopped, section.proceed())
        return "stopped"

    async def _connect_anew(self, stopped: asyncio.Event) -> None:
        self.write()
        before = self.section
        fresh = await _unless(stopped, _Section.open(self._target, before.resumes))
        if fresh is not None:
            before.close()
            self._polls, self._lost = self._polls + before.polls, self._lost + before.lost
            self.section, self._connections = fresh, self._connections + 1

    def write(self) -> Progress:
        """Write what has come."""
        section = self.section
        section.write(self._writer)
        return Progress(
            (section.until_ns - self._first_ns) / 1e9,
            self._writer.written,
            self._connections,
            self._polls + section.polls,
            self._lost + section.lost,
        )


@contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """Set by SIGINT and SIGTERM, which end a recording as its time does."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _unless(stopped: asyncio.Event, coroutine: Coroutine[Any, Any, _Result]) -> _Result | None:
    """What it returns; None where we are stopped before."""
    task, stop = asyncio.ensure_future(coroutine), asyncio.ensure_future(stopped.wait())
    try:
        await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
        stop.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)
    return None if task.cancelled() else task.result()
