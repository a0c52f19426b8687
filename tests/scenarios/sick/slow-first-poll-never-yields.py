"""A coroutine that computes and never awaits: each task is one long poll.

subject: kind score
"""

import asyncio


async def score(number: int) -> int:
    total = 0
    for step in range(3_000_000 + number):
        total += step % 7  # here
    return total


async def main() -> None:
    print("ready")
    while True:
        async with asyncio.TaskGroup() as group:
            for number in range(2):
                group.create_task(score(number))
        await asyncio.sleep(0.1)


asyncio.run(main())
