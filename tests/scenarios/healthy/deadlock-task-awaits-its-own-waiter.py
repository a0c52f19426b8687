"""Tasks await each other, and the last of them works."""

import asyncio


class Supervisor:
    def __init__(self) -> None:
        self.stopping = asyncio.Event()

    async def work(self) -> None:
        while not self.stopping.is_set():
            await asyncio.sleep(0.01)

    async def run(self) -> None:
        worker = asyncio.create_task(self.work(), name="worker")
        helper = asyncio.create_task(self.help(worker), name="helper")
        await asyncio.gather(worker, helper)

    async def help(self, worker: "asyncio.Task[None]") -> None:
        await asyncio.wait([worker], timeout=None)


async def main() -> None:
    supervisor = Supervisor()
    task = asyncio.create_task(supervisor.run(), name="supervisor")
    print("ready")
    await task


asyncio.run(main())
