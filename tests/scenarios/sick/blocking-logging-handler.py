"""A handler of log records delivers each one before it returns.

subject: task worker
"""

import asyncio
import logging
import time

log = logging.getLogger("shop")


class Collector(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        time.sleep(0.2)


def note(number: int) -> None:
    log.warning("order %d", number)  # here


async def work() -> None:
    number = 0
    while True:
        number += 1
        note(number)
        await asyncio.sleep(0.05)


async def main() -> None:
    log.addHandler(Collector())
    async with asyncio.TaskGroup() as group:
        group.create_task(work(), name="worker")
        print("ready")


asyncio.run(main())
