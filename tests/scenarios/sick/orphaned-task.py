"""A session's handler starts a keep-alive that nobody keeps: it goes on when the handler has ended.

subject: task keep-alive
"""

import asyncio


class Session:
    def __init__(self) -> None:
        self.alive_for = 0

    async def keep_alive(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self.alive_for += 1

    async def open(self) -> None:
        asyncio.get_running_loop().create_task(self.keep_alive(), name="keep-alive")  # here
        await asyncio.sleep(0.05)


async def main() -> None:
    await asyncio.create_task(Session().open(), name="open")
    print("ready")
    await asyncio.sleep(3600)


asyncio.run(main())
