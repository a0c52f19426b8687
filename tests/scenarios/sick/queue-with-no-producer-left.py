"""The reader of a file has come to its end; the workers wait for more lines for ever.

subject: task worker-0
"""

import asyncio


async def read(lines: asyncio.Queue[str]) -> None:
    for number in range(20):
        await lines.put(f"line {number}")


async def work(lines: asyncio.Queue[str]) -> None:
    while True:
        await lines.get()  # here
        await asyncio.sleep(0.001)


async def main() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue(10)
    workers = [asyncio.create_task(work(lines), name=f"worker-{number}") for number in range(3)]
    reader = asyncio.create_task(read(lines), name="reader")
    print("ready")
    await asyncio.gather(reader, *workers)


asyncio.run(main())
