"""The task price-watcher spins with sleep(0) where it should await an Event: Warnings names it.

It wakes itself at every turn and takes a whole core, among subscribers that wait as they should.
"""

import asyncio
from contextlib import suppress

SUBSCRIBERS = 10
TURNS = 1_000


class Market:
    """A price that changes, and those who want to know."""

    def __init__(self) -> None:
        self.version = 0
        self.changed = asyncio.Condition()
        self.spinning = asyncio.Event()

    async def trade(self) -> None:
        """Change the price ten times a second."""
        while True:
            await asyncio.sleep(0.1)
            async with self.changed:
                self.version += 1
                self.changed.notify_all()

    async def subscriber(self) -> None:
        """Healthy: sleeps until it is told."""
        while True:
            async with self.changed:
                await self.changed.wait()

    async def watch_price(self) -> None:
        """Sick: looks again and again."""
        turns = 0
        while True:
            seen = self.version
            while seen == self.version:
                await asyncio.sleep(0)
                turns += 1
                if turns == TURNS:
                    self.spinning.set()


async def main() -> None:
    """Open the market."""
    market = Market()
    async with asyncio.TaskGroup() as group:
        group.create_task(market.trade(), name="market")
        for number in range(SUBSCRIBERS):
            group.create_task(market.subscriber(), name=f"subscriber-{number}")
        group.create_task(market.watch_price(), name="price-watcher")
        await market.spinning.wait()
        print(f"ready: price-watcher has come round {TURNS} times", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
