"""As many threads as jobs, and short jobs in the default executor."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(4, thread_name_prefix="reports")


async def report() -> None:
    while True:
        await asyncio.get_running_loop().run_in_executor(POOL, time.sleep, 1)


async def look_up() -> None:
    while True:
        await asyncio.to_thread(time.sleep, 0.001)
        await asyncio.sleep(0.05)


async def main() -> None:
    print("ready")
    await asyncio.gather(*(report() for _ in range(4)), *(look_up() for _ in range(20)))


asyncio.run(main())
