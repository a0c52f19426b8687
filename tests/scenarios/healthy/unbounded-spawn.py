"""Messages come in bursts, and whoever receives them waits while too many are being stored."""

import asyncio

busy: asyncio.Semaphore


async def store(message: int) -> None:
    try:
        await asyncio.sleep(0.02)
    finally:
        busy.release()


async def receive() -> None:
    running: set[asyncio.Task[None]] = set()
    message = 0
    while True:
        await asyncio.sleep(0.05)
        for _ in range(100):
            message += 1
            await busy.acquire()
            task = asyncio.create_task(store(message))
            running.add(task)
            task.add_done_callback(running.discard)


async def main() -> None:
    global busy
    busy = asyncio.Semaphore(80)
    print("ready")
    await receive()


asyncio.run(main())
