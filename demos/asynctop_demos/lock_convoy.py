"""Forty accounts queue for one Lock that each holds across a 25 ms await: their details name it.

No poll is slow and the loop is idle, yet every account waits a second for its turn: 40 times 25 ms.
"""

import asyncio
from contextlib import suppress

ACCOUNTS = 40


class Ledger:
    """One file that all accounts write to, one at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.written = 0

    async def book(self) -> None:
        """Write one line, and keep the lock while the disk is busy."""
        async with self.lock:
            await self.write_line()

    async def write_line(self) -> None:
        """The slow await."""
        await asyncio.sleep(0.025)
        self.written += 1


async def account(ledger: Ledger) -> None:
    """Book for ever."""
    while True:
        await ledger.book()


async def main() -> None:
    """Open the ledger, and say so once everybody had a turn."""
    ledger = Ledger()
    async with asyncio.TaskGroup() as group:
        for number in range(ACCOUNTS):
            group.create_task(account(ledger), name=f"account-{number:02}")
        while ledger.written < ACCOUNTS:
            await ledger.book()
        print(f"ready: {ledger.written} lines written, one at a time", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
