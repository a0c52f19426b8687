"""Fifty workers share one connection, so they mostly queue for its lock.

subject: kind work
"""

import asyncio


class Connection:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def query(self) -> None:
        async with self.lock:  # here
            await asyncio.sleep(0.01)


async def work(connection: Connection) -> None:
    while True:
        await connection.query()
        await asyncio.sleep(0.001)


async def main() -> None:
    connection = Connection()
    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(work(connection))
        print("ready")


asyncio.run(main())
