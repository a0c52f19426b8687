"""A refresh runs in the background and fails each time: its task is let go of, and its exception with it.

subject: task refresher
"""

import asyncio
import logging


def parse(text: str) -> dict[str, str]:
    key, value = text.split("=")  # here
    return {key: value}


async def refresh() -> dict[str, str]:
    await asyncio.sleep(0.01)
    return parse("not a setting")


async def main() -> None:
    logging.disable()
    print("ready")
    while True:
        running = asyncio.create_task(refresh(), name="refresher")
        await asyncio.sleep(0.1)
        del running


asyncio.run(main())
