"""Permits are held for long, and given back by whoever is done: in a block, a callback, a timer."""

import asyncio


async def in_a_block(limit: asyncio.Semaphore) -> None:
    async with limit:
        await asyncio.sleep(60)


async def by_hand(limit: asyncio.Semaphore) -> None:
    await limit.acquire()
    try:
        await asyncio.sleep(60)
    finally:
        limit.release()


async def by_a_callback(limit: asyncio.Semaphore) -> None:
    while True:
        await limit.acquire()
        task = asyncio.create_task(asyncio.sleep(60))
        task.add_done_callback(lambda _: limit.release())


async def by_a_timer(limit: asyncio.Semaphore) -> None:
    while True:
        await limit.acquire()
        asyncio.get_running_loop().call_later(60, limit.release)


async def main() -> None:
    print("ready")
    blocks, hands = asyncio.Semaphore(2), asyncio.Semaphore(2)
    await asyncio.gather(
        *(in_a_block(blocks) for _ in range(4)),
        *(by_hand(hands) for _ in range(4)),
        by_a_callback(asyncio.Semaphore(2)),
        by_a_timer(asyncio.Semaphore(2)),
    )


asyncio.run(main())
