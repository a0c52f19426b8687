"""Loops in threads that are waited for as a coroutine should; threads are joined when they are done."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor


async def fetch(number: int) -> int:
    await asyncio.sleep(0.15)
    return number * 2


def run(number: int) -> int:
    return asyncio.run(fetch(number))


async def import_all() -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1) as pool:
        for number in range(10**9):
            await asyncio.to_thread(run, number)
            await loop.run_in_executor(pool, run, number)
            thread = threading.Thread(target=run, args=[number])
            thread.start()
            await asyncio.to_thread(thread.join)
            thread.join()
            await asyncio.wrap_future(pool.submit(asyncio.run, fetch(number)))


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(import_all(), name="importer")
        print("ready")


asyncio.run(main())
