"""Many pollers wait for an event, and look after it now and then, too."""

import asyncio


class Poller:
    def __init__(self, done: asyncio.Event) -> None:
        self.done = done

    async def wait(self) -> None:
        while not self.done.is_set():
            await asyncio.sleep(0)
            await asyncio.sleep(0.05)


async def main() -> None:
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(Poller(done).wait())
        group.create_task(done.wait())
        print("ready")


asyncio.run(main())
