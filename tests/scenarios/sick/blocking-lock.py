"""A lock that a thread holds for long is waited for in the event loop's own thread.

subject: task reader
"""

import asyncio
import threading
import time


class Table:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: list[float] = []

    def refresh(self) -> None:
        while True:
            with self.lock:
                time.sleep(0.2)
                self.rows.append(time.time())
            time.sleep(0.02)

    def latest(self) -> list[float]:
        with self.lock:  # here
            return self.rows[-10:]


async def read(table: Table) -> None:
    while True:
        table.latest()
        await asyncio.sleep(0.05)


async def main() -> None:
    table = Table()
    threading.Thread(target=table.refresh, daemon=True).start()
    async with asyncio.TaskGroup() as group:
        group.create_task(read(table), name="reader")
        print("ready")


asyncio.run(main())
