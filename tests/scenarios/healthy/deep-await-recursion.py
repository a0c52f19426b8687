"""A handler below thirty layers of middleware, and a walk through a tree that is twenty levels deep."""

import asyncio
from collections.abc import Awaitable, Callable

Handler = Callable[[int], Awaitable[int]]


def layer(inner: Handler) -> Handler:
    async def call(request: int) -> int:
        return await inner(request) + 1

    return call


async def handler(request: int) -> int:
    await asyncio.sleep(0.2)
    return request


async def walk(depth: int) -> None:
    if depth == 0:
        await asyncio.sleep(0.2)
        return
    await walk(depth - 1)


async def serve() -> None:
    wrapped: Handler = handler
    for _ in range(30):
        wrapped = layer(wrapped)
    while True:
        await wrapped(1)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(), name="server")
        print("ready")
        while True:
            await walk(20)


asyncio.run(main())
