"""A writer holds a lock of threads while it is suspended.

subject: task writer
"""

import asyncio
import threading

LOCK = threading.Lock()


async def write() -> None:
    while True:
        with LOCK:
            await asyncio.sleep(30)  # here


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(write(), name="writer")
        print("ready")


asyncio.run(main())
