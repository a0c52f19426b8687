"""A thread that does the work for the loop sets the result by itself, though only the loop's thread may.

subject: loop MainThread
"""

import asyncio
import queue
import threading
import time
from typing import Any

jobs: "queue.SimpleQueue[tuple[int, asyncio.Future[int]]]" = queue.SimpleQueue()


def work() -> None:
    while True:
        number, future = jobs.get()
        time.sleep(0.02)
        future.set_result(number * number)  # here


async def ask(number: int) -> int:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    jobs.put((number, future))
    return int(await future)


async def beat() -> None:
    for _ in range(10**9):
        await asyncio.sleep(0.01)


async def main() -> None:
    threading.Thread(target=work, name="worker", daemon=True).start()
    beating = asyncio.create_task(beat(), name="heart")
    print("ready")
    for number in range(10**9):
        await ask(number)
        await asyncio.sleep(0.03)
    beating.cancel()


asyncio.run(main())
