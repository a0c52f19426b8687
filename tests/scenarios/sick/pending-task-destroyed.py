"""Listeners wait for replies that nobody else holds on to: the garbage collector takes both away.

subject: task listener
"""

import asyncio
import gc
import logging


async def listen() -> None:
    reply = asyncio.get_running_loop().create_future()
    await reply


def subscribe() -> None:
    asyncio.get_running_loop().create_task(listen(), name="listener")  # here


async def main() -> None:
    logging.disable()
    print("ready")
    while True:
        subscribe()
        await asyncio.sleep(0.1)
        gc.collect()


asyncio.run(main())
