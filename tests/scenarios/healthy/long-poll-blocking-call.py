"""The same call, in a thread."""

import asyncio
import time


def ask() -> None:
    time.sleep(0.3)


async def poll() -> None:
    while True:
        await asyncio.to_thread(ask)
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(poll(), name="poller")
        print("ready")


asyncio.run(main())
