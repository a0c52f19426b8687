"""Keep-alives that outlive the handler that started them: each is held or awaited, or soon over."""

import asyncio

background: set[asyncio.Task[None]] = set()


class Session:
    def __init__(self) -> None:
        self.alive_for = 0
        self.keeper: asyncio.Task[None] | None = None

    async def keep_alive(self, times: int = 10**9) -> None:
        for _ in range(times):
            async with asyncio.timeout(10):
                await asyncio.sleep(0.1)
            self.alive_for += 1

    async def open(self) -> None:
        self.keeper = asyncio.create_task(self.keep_alive())
        task = asyncio.create_task(self.keep_alive())
        background.add(task)
        task.add_done_callback(background.discard)
        asyncio.get_running_loop().create_task(self.keep_alive(times=3))
        asyncio.create_task(awaiting(asyncio.create_task(self.keep_alive()))).add_done_callback(print)
        background.add(asyncio.create_task(asyncio.wait([asyncio.create_task(self.keep_alive())])))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)


async def awaiting(task: asyncio.Task[None]) -> None:
    background.add(asyncio.current_task())  # type: ignore[arg-type]
    await task


async def main() -> None:
    session = Session()
    await asyncio.create_task(session.open())
    asyncio.get_running_loop().create_task(session.keep_alive())  # while its parent lives, that may be meant
    print("ready")
    while True:
        await asyncio.create_task(Session().open() if session.keeper is None else asyncio.sleep(0.3))


asyncio.run(main())
