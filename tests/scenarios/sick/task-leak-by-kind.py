"""Each request leaves a task behind that waits for an event nobody sets.

subject: kind Session.watch
"""

import asyncio


class Session:
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def watch(self) -> None:
        await self.closed.wait()

    def open(self) -> "Session":
        self.watcher = asyncio.create_task(self.watch())  # here
        return self


async def handle() -> None:
    Session().open()
    await asyncio.sleep(0.01)


sessions: set[asyncio.Task[None]] = set()


async def main() -> None:
    print("ready")
    while True:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(handle())
        sessions.update(asyncio.all_tasks())
        await asyncio.sleep(0.02)


asyncio.run(main())
