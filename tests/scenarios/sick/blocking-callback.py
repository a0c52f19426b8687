"""A timer's callback, which is no task, does slow work.

subject: loop Heartbeat.beat
"""

import asyncio
import time


class Heartbeat:
    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        self.beats += 1
        self.report()
        asyncio.get_running_loop().call_later(0.05, self.beat)

    def report(self) -> None:
        time.sleep(0.2)  # here


async def main() -> None:
    asyncio.get_running_loop().call_soon(Heartbeat().beat)
    print("ready")
    await asyncio.sleep(3600)


asyncio.run(main())
