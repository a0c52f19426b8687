"""A synchronous interface to asynchronous code: it runs a loop in a thread, and is called in a coroutine.

subject: task importer
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any


async def fetch(number: int) -> int:
    await asyncio.sleep(0.15)
    return number * 2


def synchronously(work: Coroutine[Any, Any, int]) -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()  # here


async def import_all() -> None:
    for number in range(10**9):
        synchronously(fetch(number))
        await asyncio.sleep(0.1)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(import_all(), name="importer")
        print("ready")


asyncio.run(main())
