"""A protocol's method, which is no task, does slow work with what it receives.

subject: loop Echo.data_received
"""

import asyncio
import time


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        time.sleep(0.2)  # here
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
