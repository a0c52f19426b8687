"""Two transfers take the same two accounts' locks in opposite order.

subject: task transfer-1
"""

import asyncio


class Account:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()


async def transfer(source: Account, target: Account) -> None:
    async with source.lock:
        await asyncio.sleep(0.01)
        async with target.lock:  # here
            pass


async def heart() -> None:
    while True:
        await asyncio.sleep(0.05)


async def main() -> None:
    one, two = Account(), Account()
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(one, two), name="transfer-1")
        group.create_task(transfer(two, one), name="transfer-2")
        group.create_task(heart(), name="heart")
        print("ready")


asyncio.run(main())
