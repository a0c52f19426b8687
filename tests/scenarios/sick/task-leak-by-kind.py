"""Each request opens a session, and with it a task; the sessions are kept, and never closed.

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


async def handle(sessions: list[Session]) -> None:
    sessions.append(Session().open())
    await asyncio.sleep(0.01)


async def main() -> None:
    sessions: list[Session] = []
    print("ready")
    while True:
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(handle(sessions))
        await asyncio.sleep(0.02)


asyncio.run(main())
