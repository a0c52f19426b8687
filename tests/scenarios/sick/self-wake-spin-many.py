"""Many pollers wait for a flag by asking again and again.

finds: self-wake-spin
subject: kind Poller.wait
"""

import asyncio


class Poller:
    done = False

    async def wait(self) -> None:  # here
        while not self.done:
            await asyncio.sleep(0)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(Poller().wait())
        print("ready")


asyncio.run(main())
