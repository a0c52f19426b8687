"""Two transfers take the locks in the same order, again and again."""

import asyncio


class Account:
    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = asyncio.Lock()


async def transfer(source: Account, target: Account) -> None:
    first, second = sorted((source, target), key=lambda account: account.number)
    while True:
        async with first.lock:
            await asyncio.sleep(0.01)
            async with second.lock:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)


async def main() -> None:
    one, two = Account(1), Account(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(transfer(one, two), name="transfer-1")
        group.create_task(transfer(two, one), name="transfer-2")
        print("ready")


asyncio.run(main())
