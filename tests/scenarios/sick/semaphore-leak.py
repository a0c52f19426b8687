"""A worker that fails keeps its permit, and after three of them nobody gets one.

subject: task worker-3
"""

import asyncio


async def work(limit: asyncio.Semaphore, number: int) -> None:
    await limit.acquire()  # here
    await asyncio.sleep(0.001)
    if number % 2:
        return
    if number < 6:
        raise ValueError(number)
    limit.release()


async def main() -> None:
    limit = asyncio.Semaphore(3)
    workers = [asyncio.create_task(work(limit, number), name=f"worker-{number}") for number in range(12)]
    print("ready")
    await asyncio.gather(*workers, return_exceptions=True)


asyncio.run(main())
