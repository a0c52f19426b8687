"""Readers that are cancelled in the middle of a message: when what was read is lost, and when it is not."""

from __future__ import annotations

import asyncio
import gc
import traceback
import weakref
from asyncio import StreamReader
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import pytest

from asynctop.core import Core
from asynctop.hooks.streams import STATE_LOST, StreamHooks
from asynctop.stacks import Frame

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Log:
    """What was noted: type, place, and what was lost."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, Frame | None, str]] = []

    def note(self, type_: str, place: Frame | None, stack: list[Frame], **rest: Any) -> None:
        assert stack[-1][0] == "StreamReader." + stack[-1][0].rpartition(".")[2]
        self.noted.append((type_, place, rest["text"]))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(autouse=True)
def hooks(hooked: Core, log: Log, faults: list[Exception]) -> Iterator[StreamHooks]:
    made = StreamHooks(hooked, log, faults.append)  # type: ignore[arg-type]
    made.start()
    yield made
    made.stop()


async def frame_of_two_reads(reader: StreamReader) -> bytes:
    header = await reader.readexactly(4)
    body = await reader.readexactly(4)
    return header + body


async def number_and_body(reader: StreamReader) -> bytes:
    (length,) = await reader.readexactly(1)
    return await reader.readexactly(length)


async def header_of(reader: StreamReader) -> int:
    return len(await reader.readexactly(4))


async def body_of(reader: StreamReader, length: int) -> bytes:
    return await reader.readexactly(length)


async def frame_by_helpers(reader: StreamReader) -> bytes:
    length = await header_of(reader)
    return await body_of(reader, length)


async def collected(reader: StreamReader) -> bytes:
    data = b""
    while not data.endswith(b"."):
        data += await reader.read(2)
    return data


async def collected_in_parts(reader: StreamReader) -> list[bytes]:
    parts: list[bytes] = []
    while len(parts) < 9:
        chunk = await reader.read(2)
        parts.append(chunk)
    return parts


class Connection:
    """Keeps what it reads."""

    def __init__(self, reader: StreamReader) -> None:
        self.reader = reader
        self.header = b""

    async def lose(self) -> bytes:
        header = await self.reader.readexactly(4)
        return header + await self.reader.readexactly(4)

    async def keep(self) -> bytes:
        if not self.header:
            self.header = await self.reader.readexactly(4)
        return self.header + await self.reader.readexactly(4)

    async def put_back(self) -> bytes:
        header, self.header = self.header, b""
        if not header:
            header = await self.reader.readexactly(4)
        try:
            return header + await self.reader.readexactly(4)
        except asyncio.CancelledError:
            self.header = header
            raise


async def lines(reader: StreamReader) -> None:
    while line := await reader.readline():
        len(line)


async def one_read(reader: StreamReader) -> bytes:
    return await reader.readexactly(100)


async def greeted(reader: StreamReader, greeting: bytes = b"hello") -> bytes:
    return greeting + await reader.readexactly(100)


Read = Callable[[StreamReader], Awaitable[Any]]


async def cancelled_twice(read: Read, *, data: bytes = b"abc\nef\n", more: bool = True) -> StreamReader:
    """Reads, with data for a part of it, is cancelled, and reads again, with or without more data."""
    reader = StreamReader()
    for again in range(2):
        if more or not again:
            reader.feed_data(data)
        task = asyncio.ensure_future(read(reader))
        for _ in range(4):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return reader


LOSERS: dict[str, tuple[Read, int, str]] = {
    "two reads": (frame_of_two_reads, 2, "header"),
    "a number": (number_and_body, 2, "length"),
    "collected": (collected, 3, "data"),
    "parts": (collected_in_parts, 3, "parts"),
}


@pytest.mark.parametrize("name", LOSERS)
def test_what_is_lost(run: Run, log: Log, name: str) -> None:
    read, line, lost = LOSERS[name]
    run(cancelled_twice(read, data=b"\x05bcd"))
    code = read.__code__
    place = code.co_qualname, code.co_filename, code.co_firstlineno + line
    assert log.noted == [(STATE_LOST, place, lost)]


def test_helpers(run: Run, log: Log) -> None:
    run(cancelled_twice(frame_by_helpers, data=b"abcd", more=False))
    ((_, place, lost),) = log.noted
    assert place is not None
    assert (place[0], lost) == ("body_of", "length")


def test_methods(run: Run, log: Log) -> None:
    run(cancelled_twice(lambda reader: Connection(reader).lose(), data=b"abcd"))
    assert [lost for _, _, lost in log.noted] == ["header"]


def test_in_one_coroutine(run: Run, log: Log) -> None:
    async def receive(reader: StreamReader) -> None:
        for _ in range(2):
            try:
                async with asyncio.timeout(0.01):
                    header = await reader.readexactly(4)
                    body = await reader.readexactly(4)
                    assert header + body == b""
            except TimeoutError:
                continue

    async def main() -> None:
        reader = StreamReader()
        reader.feed_data(b"abcdef")
        await receive(reader)

    run(main())
    assert [lost for _, _, lost in log.noted] == ["header"]


@pytest.mark.parametrize("read", [lines, one_read, greeted])
def test_nothing_is_lost_between_messages(run: Run, log: Log, read: Read) -> None:
    run(cancelled_twice(read))
    assert log.noted == []


@pytest.mark.parametrize("method", ["keep", "put_back"])
def test_nothing_is_lost_by_who_keeps_it(run: Run, log: Log, method: str) -> None:
    async def main() -> None:
        connections: list[Connection] = []

        def read(reader: StreamReader) -> Awaitable[bytes]:
            connections[:] = connections or [Connection(reader)]
            reading: Awaitable[bytes] = getattr(connections[0], method)()
            return reading

        reader = await cancelled_twice(read, data=b"ab")
        # The rest is there by the time that it is asked for, and then the next message is waited for.
        reader.feed_data(b"cdefgh")
        assert await getattr(connections[0], method)() == b"ababcdef"
        connections[0].header = b""
        await asyncio.wait([asyncio.ensure_future(connections[0].keep())], timeout=0.01)

    run(main())
    assert log.noted == []


def test_nothing_is_lost_by_who_reads_on(run: Run, log: Log) -> None:
    async def receive(reader: StreamReader) -> bytes:
        header = await reader.readexactly(4)
        while True:
            try:
                async with asyncio.timeout(0.01):
                    body = await reader.readexactly(4)
                    break
            except TimeoutError:
                reader.feed_data(b"gh")
        return header + body

    async def main() -> None:
        reader = StreamReader()
        reader.feed_data(b"abcdef")
        assert await receive(reader) == b"abcdefgh"

    run(main())
    assert log.noted == []


def test_nothing_is_lost_by_who_takes_what_there_is(run: Run, log: Log) -> None:
    async def take(reader: StreamReader) -> bytes:
        data = await reader.read(6)
        try:
            async with asyncio.timeout(0.01):
                more = await reader.read(6)
        except TimeoutError:
            more = b""
        return data + more

    async def main() -> None:
        reader = StreamReader()
        for _ in range(2):
            asyncio.get_running_loop().call_later(0.01, reader.feed_data, b"abcdef")
            assert await take(reader) == b"abcdef"

    run(main())
    assert log.noted == []


def test_nothing_is_lost_by_who_asks_for_one_after_the_other(run: Run, log: Log) -> None:
    async def take(reader: StreamReader) -> None:
        for _ in range(3):
            try:
                async with asyncio.timeout(0.01):
                    first = await reader.readexactly(6)
                    assert first == b"abcdef"
            except TimeoutError:
                pass
            try:
                async with asyncio.timeout(0.01):
                    await one_read(reader)
            except TimeoutError:
                pass

    async def main() -> None:
        reader = StreamReader()
        reader.feed_data(b"abcdef")
        await take(reader)

    run(main())
    assert log.noted == []


def test_other_errors_that_are_caught_make_no_difference(run: Run, log: Log) -> None:
    async def read(reader: StreamReader) -> bytes:
        try:
            async with asyncio.timeout(60):
                header = await reader.readexactly(4)
                return header + await reader.readexactly(4)
        except asyncio.IncompleteReadError as error:
            return error.partial

    run(cancelled_twice(read, data=b"abcdef"[:4]))
    assert [lost for _, _, lost in log.noted] == ["header"]


def test_a_connection_that_is_given_up(run: Run, log: Log, hooks: StreamHooks) -> None:
    async def main() -> None:
        await cancelled_twice(frame_of_two_reads, data=b"ab")

    run(main())
    gc.collect()
    assert log.noted == []
    assert hooks._cuts == {}


def test_another_function_may_skip_the_rest(run: Run, log: Log) -> None:
    async def main() -> None:
        reader = StreamReader()
        for read in (frame_of_two_reads, one_read, frame_of_two_reads):
            reader.feed_data(b"abcdef")
            await asyncio.wait([task := asyncio.ensure_future(read(reader))], timeout=0.01)
            task.cancel()
            await asyncio.wait([task])

    run(main())
    assert log.noted == []


def test_tracebacks_and_names_are_the_programs(run: Run) -> None:
    async def main() -> list[str]:
        reader = StreamReader()
        task = asyncio.ensure_future(one_read(reader))
        await asyncio.sleep(0)
        reader.set_exception(ConnectionResetError())
        with pytest.raises(ConnectionResetError) as raised:
            await task
        return [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)][1:]

    assert run(main()) == ["one_read", "readexactly", "_wait_for_data"]
    assert StreamReader._wait_for_data.__qualname__ == "StreamReader._wait_for_data"  # type: ignore[attr-defined]


def test_nothing_is_kept_alive(run: Run) -> None:
    class Ours(StreamReader):
        pass

    async def main() -> weakref.ref[Ours]:
        reader = Ours()
        reader.feed_data(b"abcdef")
        await asyncio.wait([task := asyncio.ensure_future(frame_of_two_reads(reader))], timeout=0.01)
        task.cancel()
        await asyncio.wait([task])
        return weakref.ref(reader)

    reference = run(main())
    gc.collect()
    assert reference() is None
