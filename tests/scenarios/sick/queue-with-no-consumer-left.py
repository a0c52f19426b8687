"""The consumer has failed; the producers wait for room in the queue for ever.

subject: task producer-0
"""

import asyncio


async def produce(queue: "asyncio.Queue[int]") -> None:
    number = 0
    while True:
        await queue.put(number)  # here
        number += 1


async def consume(queue: "asyncio.Queue[int]") -> None:
    for _ in range(5):
        await queue.get()
        await asyncio.sleep(0.001)
    raise ValueError("a bad item")


async def main() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(10)
    consumer = asyncio.create_task(consume(queue), name="consumer")
    producers = [asyncio.create_task(produce(queue), name=f"producer-{number}") for number in range(3)]
    print("ready")
    await asyncio.gather(consumer, *producers, return_exceptions=True)


asyncio.run(main())
