"""Connections open one after the other and then say little: more tasks, as there are more peers."""

import asyncio


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    finally:
        writer.close()


async def client(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    while await reader.readline():
        pass


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = set()
    print("ready")
    for _ in range(400):
        clients.add(asyncio.create_task(client(port)))
        await asyncio.sleep(0.01)
    await asyncio.gather(*clients)


asyncio.run(main())
