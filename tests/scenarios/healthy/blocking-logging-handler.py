"""The same handler, fed by a thread of its own."""

import asyncio
import logging
import logging.handlers
import queue
import time

log = logging.getLogger("shop")


class Collector(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        time.sleep(0.2)


def note(number: int) -> None:
    log.warning("order %d", number)


async def work() -> None:
    number = 0
    while True:
        number += 1
        note(number)
        await asyncio.sleep(0.05)


async def main() -> None:
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    log.addHandler(logging.handlers.QueueHandler(records))
    logging.handlers.QueueListener(records, Collector()).start()
    async with asyncio.TaskGroup() as group:
        group.create_task(work(), name="worker")
        print("ready")


asyncio.run(main())
