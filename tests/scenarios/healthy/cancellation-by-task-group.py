"""A supervisor whose group of tasks fails, and which goes on when the group has told it so."""

import asyncio


async def fails() -> None:
    await asyncio.sleep(0.05)
    raise ConnectionError("the peer has gone")


async def supervise() -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await asyncio.sleep(60)
    except* ConnectionError:
        pass
    while True:
        await asyncio.sleep(0.1)


async def main() -> None:
    tasks = [asyncio.create_task(supervise(), name=f"supervisor-{n}") for n in range(3)]
    print("ready")
    await asyncio.gather(*tasks)


asyncio.run(main())
