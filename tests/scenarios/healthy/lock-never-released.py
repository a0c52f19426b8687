"""An upload lets go of the connection's lock however it ends, so the next one gets it."""

import asyncio


class Connection:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def upload(self, size: int) -> None:
        await self.lock.acquire()
        try:
            await asyncio.sleep(0.01)
            if size > 100:
                raise ValueError(f"{size} bytes are too much")
        finally:
            self.lock.release()


async def main() -> None:
    connection = Connection()
    print("ready")
    while True:
        uploads = [
            asyncio.create_task(connection.upload(size), name=f"upload-{number}")
            for number, size in enumerate((200, 10, 20))
        ]
        await asyncio.gather(*uploads, return_exceptions=True)


asyncio.run(main())
