"""The consumer is slow, and the queue is full most of the time."""

import asyncio


async def produce(queue: "asyncio.Queue[int]") -> None:
    number = 0
    while True:
        await queue.put(number)
        number += 1


async def consume(queue: "asyncio.Queue[int]") -> None:
    while True:
        await asyncio.sleep(2)
        await queue.get()


async def main() -> None:
    queue: asyncio.Queue[int] = asyncio.Queue(10)
    consumer = asyncio.create_task(consume(queue), name="consumer")
    producers = [asyncio.create_task(produce(queue), name=f"producer-{number}") for number in range(3)]
    print("ready")
    await asyncio.gather(consumer, *producers, return_exceptions=True)


asyncio.run(main())
