"""Files through a pipeline: aiofiles reads them, subprocesses sort and compress them, threads take digests,
aiofiles writes the results. Bounded queues between, so that the slowest sets the pace."""

import asyncio
import hashlib
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import aiofiles
import aiofiles.os

Item = tuple[Path, bytes]


async def produce(directory: Path, found: asyncio.Queue[Path]) -> None:
    """New files all the time."""
    number = 0
    while True:
        path = directory / f"{number % 50}.txt"
        async with aiofiles.open(path, "w") as file:
            for _ in range(20):
                await file.write("\n".join(str(random.random()) for _ in range(50)))
        await found.put(path)
        number += 1
        await asyncio.sleep(0.02)


async def read(found: asyncio.Queue[Path], contents: asyncio.Queue[Item]) -> None:
    """Line by line."""
    while True:
        path = await found.get()
        lines = []
        async with aiofiles.open(path, "rb") as file:
            async for line in file:
                lines.append(line)
        await contents.put((path, b"".join(lines)))


async def through(data: bytes, *command: str) -> bytes:
    """What a command makes of it."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(data), 20)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return out


async def transform(contents: asyncio.Queue[Item], results: asyncio.Queue[Item]) -> None:
    """In two processes, one after the other."""
    while True:
        path, data = await contents.get()
        packed = await through(await through(data, "sort", "-n"), "gzip", "-1")
        digest = await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", packed, b"salt", 2_000)
        await results.put((path, digest.hex().encode() + b"\n" + packed))


async def write(results: asyncio.Queue[Item]) -> None:
    """To a file beside, which takes its place when it is whole."""
    while True:
        path, data = await results.get()
        whole, part = path.with_suffix(".out"), path.with_suffix(".part")
        async with aiofiles.open(part, "wb") as file:
            await file.write(data)
            await file.flush()
        await aiofiles.os.replace(part, whole)


async def main() -> None:
    """All of them, until killed."""
    with TemporaryDirectory() as directory:
        found: asyncio.Queue[Path] = asyncio.Queue(10)
        contents: asyncio.Queue[Item] = asyncio.Queue(10)
        results: asyncio.Queue[Item] = asyncio.Queue(10)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(produce(Path(directory), found))
            for _ in range(3):
                tasks.create_task(read(found, contents))
            for _ in range(4):
                tasks.create_task(transform(contents, results))
            tasks.create_task(write(results))
            print("ready", flush=True)


asyncio.run(main())
