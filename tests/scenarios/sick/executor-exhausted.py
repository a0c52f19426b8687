"""Forty slow jobs for an executor of two threads.

subject: resource reports of 2 threads
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(2, thread_name_prefix="reports")


async def report() -> None:
    await asyncio.get_running_loop().run_in_executor(POOL, time.sleep, 1)  # here


async def main() -> None:
    print("ready")
    while True:
        await asyncio.gather(*(report() for _ in range(40)))


asyncio.run(main())
