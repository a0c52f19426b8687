"""A large cache of small objects, and a full collection that walks it all, again and again.

subject: task janitor
"""

import asyncio
import gc

CACHE = [{"number": [number]} for number in range(600_000)]


async def tidy() -> None:
    while True:
        gc.collect()  # here
        await asyncio.sleep(0.1)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(tidy(), name="janitor")
        print("ready")


asyncio.run(main())
