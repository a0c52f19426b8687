"""A regular expression that has one way to be wrong."""

import asyncio
import re

WORDS = re.compile(r"\w+(\s\w+)*!")


async def validate() -> None:
    while True:
        WORDS.fullmatch("a" * 24)
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(validate(), name="validator")
        print("ready")


asyncio.run(main())
