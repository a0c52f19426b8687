"""A handler sleeps with time.sleep(), so everybody else waits for it.

subject: task poller
"""

import asyncio
import time


def ask() -> None:
    time.sleep(0.3)  # here


async def poll() -> None:
    while True:
        ask()
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(poll(), name="poller")
        print("ready")


asyncio.run(main())
