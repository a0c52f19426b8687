"""The same callback, leaving the slow work to a thread, and a protocol that leaves it to a task."""

import asyncio
import time
from typing import cast


class Heartbeat:
    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        self.beats += 1
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, self.report)
        loop.call_later(0.3, self.beat)

    def report(self) -> None:
        time.sleep(0.2)


class Echo(asyncio.Protocol):
    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        task = asyncio.ensure_future(self.answer(data))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def answer(self, data: bytes) -> None:
        await asyncio.to_thread(time.sleep, 0.2)
        self.transport.write(data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(Heartbeat().beat)
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    print("ready")
    while True:
        writer.write(b"hello\n")
        await reader.readline()
        await asyncio.sleep(0.05)


asyncio.run(main())
