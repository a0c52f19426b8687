"""A frame is read in two steps under a timeout: when it fires between the two, the header is gone.

subject: task reader
"""

import asyncio
import struct


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    header = await reader.readexactly(4)
    (length,) = struct.unpack(">I", header)
    return await reader.readexactly(length)  # here


async def receive(port: int) -> None:
    reader, _ = await asyncio.open_connection("127.0.0.1", port)
    while True:
        try:
            await asyncio.wait_for(read_frame(reader), 0.1)
        except TimeoutError:
            continue


async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(struct.pack(">I", 8))
        await asyncio.sleep(0.25)
        writer.write(b"12345678")
        await asyncio.sleep(0.05)


async def main() -> None:
    server = await asyncio.start_server(send, "127.0.0.1", 0)
    async with server, asyncio.TaskGroup() as group:
        group.create_task(receive(server.sockets[0].getsockname()[1]), name="reader")
        print("ready")


asyncio.run(main())
