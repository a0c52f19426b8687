"""Each price wakes two hundred subscribers. None works for long, but all do in the same turn of the loop.

subject: loop MainThread
"""

import asyncio
import time


def revalue(price: float) -> float:
    until = time.perf_counter() + 0.002
    while time.perf_counter() < until:
        price *= 1.000001
    return price


class Feed:
    def __init__(self) -> None:
        self.waiting: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def publish(self, price: float) -> None:
        waiting, self.waiting = self.waiting, asyncio.get_running_loop().create_future()
        waiting.set_result(price)


async def subscriber(feed: Feed) -> None:  # here
    while True:
        revalue(await feed.waiting)


async def main() -> None:
    feed = Feed()
    subscribers = [asyncio.create_task(subscriber(feed)) for _ in range(200)]
    print("ready", len(subscribers))
    while True:
        await asyncio.sleep(0.3)
        feed.publish(100.0)


asyncio.run(main())
