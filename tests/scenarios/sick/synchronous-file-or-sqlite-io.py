"""A query that takes long, in the event loop's own thread.

subject: task reporter
"""

import asyncio
import sqlite3

SQL = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500000) SELECT sum(i) FROM n"


class Store:
    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")

    def total(self) -> int:
        (total,) = self.connection.execute(SQL).fetchone()  # here
        return int(total)


async def report(store: Store) -> None:
    while True:
        store.total()
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(report(Store()), name="reporter")
        print("ready")


asyncio.run(main())
