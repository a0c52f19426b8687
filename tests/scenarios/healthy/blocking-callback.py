"""A protocol's method that leaves the slow work to a task."""

import asyncio
import time


class Echo(asyncio.Protocol):
    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        task = asyncio.ensure_future(self.answer(data))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def answer(self, data: bytes) -> None:
        await asyncio.to_thread(time.sleep, 0.2)
        self.transport.write(data)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    print("ready")
    while True:
        writer.write(b"hello\n")
        await reader.readline()
        await asyncio.sleep(0.05)


asyncio.run(main())
