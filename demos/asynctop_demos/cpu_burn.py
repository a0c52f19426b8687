"""Once a second count_primes computes for 0.3 s without an await: Stalls says cpu and names its loop.

Ten feeds tick every 50 ms beside it and are late by as much. The cure would be a process pool; a thread would
share the interpreter's lock.
"""

import asyncio
import time
from contextlib import suppress

FEEDS = 10


def is_prime(number: int) -> bool:
    """Try every divisor."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def count_primes(seconds: float) -> int:
    """Count the primes from 1 up for this long."""
    number = found = 0
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        number += 1
        found += is_prime(number)
    return found


async def calculator() -> None:
    """Compute on the event loop's thread, where everybody waits."""
    while True:
        count_primes(0.3)
        await asyncio.sleep(0.7)


async def feed() -> None:
    """Tick."""
    while True:
        await asyncio.sleep(0.05)


async def main() -> None:
    """Start the feeds, then the calculator."""
    async with asyncio.TaskGroup() as group:
        for number in range(FEEDS):
            group.create_task(feed(), name=f"feed-{number}")
        group.create_task(calculator(), name="calculator")
        print(f"ready: one calculator among {FEEDS} feeds", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
