"""Two transfers lock the same accounts in opposite order and never end: their details name the locks.

Nothing is busy and nothing raises; these two just never end, while the other transfers do.
"""

import asyncio
from contextlib import suppress
from itertools import cycle


async def transfer(source: asyncio.Lock, target: asyncio.Lock) -> None:
    """Lock both accounts, one after the other, with an await in between: that is the mistake."""
    async with source:
        await asyncio.sleep(0.05)
        async with target:
            await asyncio.sleep(0.05)


async def main() -> None:
    """Healthy transfers among three accounts, and a sick pair between two others."""
    ann, bob, eve, dan, fay = (asyncio.Lock() for _ in range(5))
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(ann, bob), name="transfer ann to bob")
        group.create_task(transfer(bob, ann), name="transfer bob to ann")
        for number, target in enumerate(cycle((dan, fay)), start=1):
            await group.create_task(transfer(eve, target), name=f"transfer #{number}")
            if number == 3:
                locked = [name for name, account in (("ann", ann), ("bob", bob)) if account.locked()]
                print(f"ready: still locked after 3 other transfers: {', '.join(locked)}", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
