"""The reader of a file cancels the workers when all its lines are done; then the next file comes."""

import asyncio


async def read(lines: asyncio.Queue[str]) -> None:
    for number in range(20):
        await lines.put(f"line {number}")


async def work(lines: asyncio.Queue[str]) -> None:
    while True:
        await lines.get()
        await asyncio.sleep(0.001)
        lines.task_done()


async def one_file() -> None:
    lines: asyncio.Queue[str] = asyncio.Queue(10)
    workers = [asyncio.create_task(work(lines), name=f"worker-{number}") for number in range(3)]
    await read(lines)
    await lines.join()
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)


async def main() -> None:
    print("ready")
    while True:
        await one_file()
        await asyncio.sleep(0.6)


asyncio.run(main())
