"""Sessions that say goodbye quickly, again and again, or under a timeout. One rests for long in an `except`
block of its own, another where a cancelled child of its led it, and nobody has cancelled them."""

import asyncio
from contextlib import suppress


async def hold_session() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 0.1)


async def hold_sessions() -> None:
    while True:
        session = asyncio.create_task(hold_session(), name="session")
        await asyncio.sleep(0.05)
        session.cancel()
        await asyncio.wait([session])


async def wait_for_quiet() -> None:
    try:
        raise ConnectionResetError
    except ConnectionResetError:
        await asyncio.sleep(60)


async def replace_child() -> None:
    child = asyncio.create_task(asyncio.sleep(3600), name="child")
    await asyncio.sleep(0.1)
    child.cancel()
    try:
        await child
    except asyncio.CancelledError:
        await asyncio.sleep(60)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(hold_sessions(), name="owner")
        group.create_task(wait_for_quiet(), name="quiet")
        group.create_task(replace_child(), name="parent")
        print("ready")


asyncio.run(main())
