"""The same query in a thread, and short ones beside it."""

import asyncio
import sqlite3

SQL = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000) SELECT sum(i) FROM n"


class Store:
    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)

    def total(self) -> int:
        (total,) = self.connection.execute(SQL).fetchone()
        return int(total)


async def report(store: Store) -> None:
    while True:
        await asyncio.to_thread(store.total)
        await asyncio.sleep(0.05)


async def look_up() -> None:
    with sqlite3.connect(":memory:") as connection:
        while True:
            connection.execute("SELECT 1").fetchall()
            await asyncio.sleep(0.01)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(report(Store()), name="reporter")
        group.create_task(look_up(), name="looker")
        print("ready")


asyncio.run(main())
