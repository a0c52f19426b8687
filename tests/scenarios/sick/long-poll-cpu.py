"""A computation in one go, without a pause.

subject: task cruncher
"""

import asyncio


def crunch() -> int:
    total = 0
    for number in range(3_000_000):
        total += number % 7  # here
    return total


async def work() -> None:
    while True:
        crunch()
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(work(), name="cruncher")
        print("ready")


asyncio.run(main())
