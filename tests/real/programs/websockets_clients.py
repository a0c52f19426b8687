"""Two hundred clients of a `websockets` server, each with a reader and a writer; some leave and come back."""

import asyncio
import json
import random
import sys

from websockets.asyncio.client import ClientConnection, connect

PORT = int(sys.argv[1])


async def read(connection: ClientConnection) -> None:
    """All that comes."""
    async for message in connection:
        json.loads(message)


async def client(number: int) -> None:
    """For ever, with a new connection now and then."""
    await asyncio.sleep(number / 200)
    while True:
        async with connect(f"ws://127.0.0.1:{PORT}/{number}") as connection:
            reader = asyncio.create_task(read(connection))
            for _ in range(random.randrange(20, 200)):
                await connection.send(json.dumps({"client": number, "text": "x" * random.randrange(500)}))
                await asyncio.sleep(random.uniform(0.2, 0.6))
        await reader


async def main() -> None:
    """All of them, until killed."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(200):
            tasks.create_task(client(number), name=f"client {number}")
        print("ready", flush=True)


asyncio.run(main())
