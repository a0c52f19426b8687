"""Ten thousand sleepers, and a timeout around each of many requests."""

import asyncio
import random


async def session() -> None:
    while True:
        await asyncio.sleep(random.uniform(1.0, 5.0))


async def backend(requests: asyncio.Queue[asyncio.Future[int]]) -> None:
    while True:
        request = await requests.get()
        await asyncio.sleep(0.001)
        if not request.done():
            request.set_result(1)


async def client(requests: asyncio.Queue[asyncio.Future[int]]) -> None:
    while True:
        answer = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(5):
            requests.put_nowait(answer)
            await answer
        await asyncio.sleep(0.01)


async def main() -> None:
    requests: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        for _ in range(10_000):
            group.create_task(session())
            await asyncio.sleep(0)
        for _ in range(10):
            group.create_task(backend(requests))
        for _ in range(20):
            group.create_task(client(requests))
        print("ready")


asyncio.run(main())
