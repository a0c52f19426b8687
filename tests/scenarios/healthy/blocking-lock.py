"""The same lock, held by the thread for a moment only."""

import asyncio
import threading
import time


class Table:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: list[float] = []

    def refresh(self) -> None:
        while True:
            time.sleep(0.2)
            row = time.time()
            with self.lock:
                self.rows.append(row)

    def latest(self) -> list[float]:
        with self.lock:
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
