"""A `websockets` server that echoes, and tells everybody the time once a second. For two hundred clients."""

import asyncio
import json
import time

from websockets.asyncio.server import ServerConnection, broadcast, serve

rooms: set[ServerConnection] = set()


async def echo(connection: ServerConnection) -> None:
    """One client."""
    rooms.add(connection)
    try:
        async for message in connection:
            await connection.send(json.dumps(json.loads(message) | {"echoed": time.time()}))
    finally:
        rooms.discard(connection)


async def clock() -> None:
    """For all clients at once."""
    while True:
        await asyncio.sleep(1)
        broadcast(rooms, json.dumps({"time": time.time()}))


async def main() -> None:
    """Serve until killed."""
    async with serve(echo, "127.0.0.1", 0, ping_interval=2) as server, asyncio.TaskGroup() as tasks:
        tasks.create_task(clock(), name="clock")
        print("ready", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
