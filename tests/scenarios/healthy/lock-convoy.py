"""Fifty workers share ten connections, and rarely meet."""

import asyncio


class Connection:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def query(self) -> None:
        async with self.lock:
            await asyncio.sleep(0.002)


async def work(connection: Connection, number: int) -> None:
    await asyncio.sleep(number / 250)
    while True:
        await connection.query()
        await asyncio.sleep(0.2)


async def main() -> None:
    connections = [Connection() for _ in range(10)]
    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(work(connections[number % 10], number))
        print("ready")


asyncio.run(main())
