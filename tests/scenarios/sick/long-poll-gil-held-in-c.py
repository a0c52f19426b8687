"""A regular expression that tries every way to be wrong: one call, and no thread can run meanwhile.

subject: task validator
"""

import asyncio
import re

WORDS = re.compile(r"(\w+\s?)+!")


async def validate() -> None:
    while True:
        WORDS.fullmatch("a" * 24)  # here
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(validate(), name="validator")
        print("ready")


asyncio.run(main())
