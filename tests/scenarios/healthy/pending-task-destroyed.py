"""The same with listeners that somebody holds, or who waits for what somebody holds; some are cancelled."""

import asyncio
import gc
import logging


async def listen(replies: "list[asyncio.Future[None]]") -> None:
    reply = asyncio.get_running_loop().create_future()
    replies.append(reply)
    await reply


async def main() -> None:
    logging.disable()
    print("ready")
    while True:
        replies: list[asyncio.Future[None]] = []
        listeners = {asyncio.get_running_loop().create_task(listen(replies), name="listener") for _ in "abc"}
        await asyncio.sleep(0.1)
        gc.collect()
        listeners.pop().cancel()
        for reply in replies:
            if not reply.done():
                reply.set_result(None)
        await asyncio.wait(listeners)
        gc.collect()


asyncio.run(main())
