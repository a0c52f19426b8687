"""The lock of threads is let go of before each await; locks of asyncio are held across them."""

import asyncio
import threading

LOCK = threading.Lock()
OTHER = asyncio.Lock()
COUNTS: dict[str, int] = {}


async def write() -> None:
    while True:
        with LOCK:
            COUNTS["written"] = COUNTS.get("written", 0) + 1
        async with OTHER:
            await asyncio.sleep(0.02)


def count() -> None:
    with LOCK:
        COUNTS["counted"] = COUNTS.get("counted", 0) + 1


async def read() -> None:
    while True:
        await asyncio.to_thread(count)
        await asyncio.sleep(0.02)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(write(), name="writer")
        group.create_task(read(), name="reader")
        print("ready")


asyncio.run(main())
