"""The same subscribers, but four at a time, and the loop looks around after each of them."""

import asyncio
import time


def revalue(price: float) -> float:
    until = time.perf_counter() + 0.0002
    while time.perf_counter() < until:
        price *= 1.000001
    return price


class Feed:
    def __init__(self) -> None:
        self.waiting: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.turns = asyncio.Semaphore(4)

    def publish(self, price: float) -> None:
        waiting, self.waiting = self.waiting, asyncio.get_running_loop().create_future()
        waiting.set_result(price)


async def subscriber(feed: Feed) -> None:
    while True:
        price = await feed.waiting
        async with feed.turns:
            revalue(price)
            await asyncio.sleep(0.002)


async def main() -> None:
    feed = Feed()
    subscribers = [asyncio.create_task(subscriber(feed)) for _ in range(200)]
    print("ready", len(subscribers))
    while True:
        await asyncio.sleep(0.3)
        feed.publish(100.0)


asyncio.run(main())
