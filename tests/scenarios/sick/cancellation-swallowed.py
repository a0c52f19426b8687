"""A worker catches whatever its step raises, its own cancellation too.

subject: task worker
"""

import asyncio


async def step() -> None:
    await asyncio.sleep(0.1)  # here


async def work() -> None:
    while True:
        try:
            await step()
        except BaseException as error:
            print("step failed:", repr(error))


async def main() -> None:
    worker = asyncio.create_task(work(), name="worker")
    print("ready")
    await asyncio.sleep(0.3)
    worker.cancel()
    await asyncio.wait([worker])


asyncio.run(main())
