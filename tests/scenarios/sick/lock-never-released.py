"""An upload that fails forgets to let go of the connection's lock, and the next one waits for ever.

subject: task upload-1
"""

import asyncio


class Connection:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def upload(self, size: int) -> None:
        await self.lock.acquire()  # here
        await asyncio.sleep(0.01)
        if size > 100:
            raise ValueError(f"{size} bytes are too much")
        self.lock.release()


async def main() -> None:
    connection = Connection()
    uploads = [
        asyncio.create_task(connection.upload(size), name=f"upload-{number}")
        for number, size in enumerate((200, 10, 20))
    ]
    print("ready")
    await asyncio.gather(*uploads, return_exceptions=True)


asyncio.run(main())
