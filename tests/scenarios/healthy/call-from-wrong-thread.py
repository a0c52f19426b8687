"""The same, told to the loop as it wants to be told by other threads; and a loop set up before it runs."""

import asyncio
import queue
import threading
import time
from typing import Any

jobs: "queue.SimpleQueue[tuple[int, asyncio.Future[int]]]" = queue.SimpleQueue()


def work() -> None:
    while True:
        number, future = jobs.get()
        time.sleep(0.02)
        future.get_loop().call_soon_threadsafe(future.set_result, number * number)


async def ask(number: int) -> int:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    jobs.put((number, future))
    return int(await future)


def look(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), loop).result()
        time.sleep(0.05)


async def main() -> None:
    loop = asyncio.get_running_loop()
    threading.Thread(target=work, daemon=True).start()
    threading.Thread(target=look, args=[loop], daemon=True).start()
    other = asyncio.new_event_loop()
    other.call_soon(time.monotonic)
    waiting = other.create_task(asyncio.sleep(0.01))
    threading.Thread(target=other.run_forever, daemon=True).start()
    print("ready")
    for number in range(10**9):
        await ask(number)
        await asyncio.to_thread(time.sleep, 0.01)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), other))
        await asyncio.sleep(0.03)
    del waiting


asyncio.run(main())
