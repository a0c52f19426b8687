"""A worker waits until its supervisor has stopped, which waits for the worker.

subject: task supervisor
"""

import asyncio


class Supervisor:
    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.worker: asyncio.Task[None] | None = None

    async def work(self) -> None:
        await asyncio.sleep(0.01)
        await self.stop()

    async def stop(self) -> None:
        assert self.task is not None
        await self.task

    async def run(self) -> None:
        self.worker = asyncio.create_task(self.work(), name="worker")
        await asyncio.gather(self.worker)  # here


async def main() -> None:
    supervisor = Supervisor()
    supervisor.task = asyncio.create_task(supervisor.run(), name="supervisor")
    print("ready")
    while True:
        await asyncio.sleep(0.05)


asyncio.run(main())
