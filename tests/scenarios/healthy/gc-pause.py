"""The same cache and the same collections, with the cache left out of them."""

import asyncio
import gc

CACHE = [{"number": [number]} for number in range(600_000)]
gc.freeze()


async def tidy() -> None:
    while True:
        gc.collect()
        await asyncio.sleep(0.1)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(tidy(), name="janitor")
        print("ready")


asyncio.run(main())
