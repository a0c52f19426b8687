"""A shop's back office with nothing wrong: some 200 polls a second, no stall, no warning.

Customers put orders on a queue; workers take them, check stock and charge the card side by side in a
TaskGroup (the card gateway admits four at a time), and write the receipt in a thread. A dispatcher sends
parcels in lots, a monitor pings over TCP, and a clock ticks. Compare the sick demos with this one.
"""

import asyncio
import hashlib
import random
from contextlib import suppress
from itertools import count

CUSTOMERS, WORKERS, LOT = 5, 8, 10


class Shop:
    """What the tasks share."""

    def __init__(self) -> None:
        self.orders: asyncio.Queue[int] = asyncio.Queue(maxsize=100)
        self.parcels: asyncio.Queue[str] = asyncio.Queue()
        self.gateway = asyncio.Semaphore(4)
        self.first_lot = asyncio.Event()
        self.numbers = count(1)
        self.chance = random.Random(7)

    async def customer(self) -> None:
        """Order something now and then."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.1, 0.5))
            await self.orders.put(next(self.numbers))

    async def worker(self) -> None:
        """Take one order after the other and see it through."""
        while True:
            order = await self.orders.get()
            async with asyncio.TaskGroup() as steps:
                steps.create_task(self.check_stock(), name=f"stock #{order}")
                steps.create_task(self.charge_card(), name=f"card #{order}")
            await self.parcels.put(await asyncio.to_thread(write_receipt, order))
            self.orders.task_done()

    async def check_stock(self) -> None:
        """Ask the warehouse."""
        await asyncio.sleep(self.chance.uniform(0.005, 0.02))

    async def charge_card(self) -> None:
        """Ask the bank, which admits a few at a time."""
        async with self.gateway:
            await asyncio.sleep(self.chance.uniform(0.01, 0.03))

    async def dispatcher(self) -> None:
        """Send the parcels in lots."""
        while True:
            for _ in range(LOT):
                await self.parcels.get()
            await asyncio.sleep(0.05)
            self.first_lot.set()


def write_receipt(order: int) -> str:
    """Sign the receipt: a little work, and in a thread, where it holds nobody up."""
    return hashlib.sha256(f"order {order}".encode()).hexdigest()


async def clock() -> None:
    """Tick twice a second."""
    while True:
        await asyncio.sleep(0.5)


async def answer_ping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The till: says back every line it hears."""
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    finally:
        writer.close()


async def monitor(port: int) -> None:
    """Ask the till ten times a second whether it is alive."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while True:
            writer.write(b"ping\n")
            await reader.readline()
            await asyncio.sleep(0.1)
    finally:
        writer.close()


async def main() -> None:
    """Open the shop."""
    shop = Shop()
    async with asyncio.TaskGroup() as staff:

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            staff.create_task(answer_ping(reader, writer), name="till")

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        staff.create_task(monitor(server.sockets[0].getsockname()[1]), name="till-monitor")
        for number in range(CUSTOMERS):
            staff.create_task(shop.customer(), name=f"customer-{number}")
        for number in range(WORKERS):
            staff.create_task(shop.worker(), name=f"worker-{number}")
        staff.create_task(shop.dispatcher(), name="dispatcher")
        staff.create_task(clock(), name="clock")
        await shop.first_lot.wait()
        print(f"ready: the first lot of {LOT} parcels is on its way", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
