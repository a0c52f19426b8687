"""Readers that are cancelled and then used again, and that lose nothing: one keeps what it has read in
itself, one puts it back when it is cancelled, one reads on where it was, one lets the reading go on behind a
shield. One has no messages, only pieces, and one closes its connection."""

import asyncio
import struct

HEADER = struct.Struct(">I")


class Frames:
    """Frames of a connection. Reading one can be cancelled at any time."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._header = b""

    async def next(self) -> bytes:
        if not self._header:
            self._header = await self._reader.readexactly(HEADER.size)
        body = await self._reader.readexactly(HEADER.unpack(self._header)[0])
        self._header = b""
        return body

    async def next_or_put_back(self) -> bytes:
        header, self._header = self._header, b""
        if not header:
            header = await self._reader.readexactly(HEADER.size)
        try:
            return await self._reader.readexactly(HEADER.unpack(header)[0])
        except asyncio.CancelledError:
            self._header = header
            raise


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    header = await reader.readexactly(HEADER.size)
    return await reader.readexactly(HEADER.unpack(header)[0])


async def keep(port: int) -> None:
    reader, _writer = await asyncio.open_connection("127.0.0.1", port)
    frames = Frames(reader)
    while True:
        try:
            await asyncio.wait_for(frames.next(), 0.1)
        except TimeoutError:
            continue


async def put_back(port: int) -> None:
    reader, _writer = await asyncio.open_connection("127.0.0.1", port)
    frames = Frames(reader)
    while True:
        try:
            await asyncio.wait_for(frames.next_or_put_back(), 0.1)
        except TimeoutError:
            continue


async def read_on(port: int) -> None:
    reader, _writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        header = await reader.readexactly(HEADER.size)
        body = None
        while body is None:
            try:
                body = await asyncio.wait_for(reader.readexactly(HEADER.unpack(header)[0]), 0.1)
            except TimeoutError:
                await asyncio.sleep(0.01)


async def shield(port: int) -> None:
    reader, _writer = await asyncio.open_connection("127.0.0.1", port)
    reading = None
    while True:
        reading = reading or asyncio.create_task(read_frame(reader))
        try:
            await asyncio.wait_for(asyncio.shield(reading), 0.1)
            reading = None
        except TimeoutError:
            continue


async def pump(reader: asyncio.StreamReader, sink: bytearray) -> None:
    while chunk := await reader.read(3):
        sink.extend(chunk)
        del sink[:-100]


async def read_pieces(port: int) -> None:
    reader, _writer = await asyncio.open_connection("127.0.0.1", port)
    sink = bytearray()
    while True:
        try:
            await asyncio.wait_for(pump(reader, sink), 0.1)
        except TimeoutError:
            continue


async def reconnect(port: int) -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while True:
                await asyncio.wait_for(read_frame(reader), 0.1)
        except TimeoutError:
            writer.close()
            await writer.wait_closed()


async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            writer.write(HEADER.pack(8))
            await asyncio.sleep(0.25)
            writer.write(b"12345678")
            await asyncio.sleep(0.05)
            await writer.drain()
    except OSError:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(send, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.TaskGroup() as group:
        for receive in (keep, put_back, read_on, shield, read_pieces, reconnect):
            group.create_task(receive(port), name=receive.__name__)
        print("ready")


asyncio.run(main())
