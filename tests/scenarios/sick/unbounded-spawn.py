"""Messages come faster than they can be stored, and each is given a task at once.

subject: kind store
"""

import asyncio

connections = 4
busy: asyncio.Semaphore


async def store(message: int) -> None:
    async with busy:
        await asyncio.sleep(0.02)


async def receive() -> None:
    running: set[asyncio.Task[None]] = set()
    message = 0
    while True:
        await asyncio.sleep(0.005)
        for _ in range(2):
            message += 1
            task = asyncio.create_task(store(message))  # here
            running.add(task)
            task.add_done_callback(running.discard)


async def main() -> None:
    global busy
    busy = asyncio.Semaphore(connections)
    print("ready")
    await receive()


asyncio.run(main())
