"""Tasks that end in their first poll, too, but at once, and one whose first poll is followed by others."""

import asyncio


async def score(number: int) -> int:
    return sum(step % 7 for step in range(1_000 + number))


async def scores() -> None:
    for first in range(20):
        sum(step % 7 for step in range(first, first + 10_000))
        await asyncio.sleep(0.005)


async def main() -> None:
    print("ready")
    while True:
        async with asyncio.TaskGroup() as group:
            group.create_task(scores())
            for number in range(20):
                group.create_task(score(number))
        await asyncio.sleep(0.1)


asyncio.run(main())
