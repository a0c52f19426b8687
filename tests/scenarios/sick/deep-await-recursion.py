"""A reader handles each message by awaiting itself for the next one.

subject: task reader
"""

import asyncio


class Reader:
    def __init__(self) -> None:
        self.messages: asyncio.Queue[int] = asyncio.Queue()
        self.total = 0

    async def read(self) -> None:
        message = await self.messages.get()
        self.total += message
        await self.read()  # here


async def main() -> None:
    reader = Reader()
    async with asyncio.TaskGroup() as group:
        group.create_task(reader.read(), name="reader")
        print("ready")
        for number in range(400):
            reader.messages.put_nowait(number)
            await asyncio.sleep(0.001)
        while True:
            await asyncio.sleep(0.5)
            reader.messages.put_nowait(1)


asyncio.run(main())
