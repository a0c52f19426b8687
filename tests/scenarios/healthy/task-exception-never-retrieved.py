"""The same failures, seen by somebody each time: awaited, asked for, or told to the loop's own handler."""

import asyncio
import logging


def parse(text: str) -> dict[str, str]:
    key, value = text.split("=")
    return {key: value}


async def refresh() -> dict[str, str]:
    await asyncio.sleep(0.01)
    return parse("not a setting")


def ended(task: asyncio.Task[dict[str, str]]) -> None:
    if not task.cancelled() and task.exception():
        context = {"message": "the settings could not be read", "exception": task.exception(), "task": task}
        task.get_loop().call_exception_handler(context)


async def main() -> None:
    logging.disable()
    print("ready")
    while True:
        running = asyncio.create_task(refresh(), name="refresher")
        running.add_done_callback(ended)
        await asyncio.gather(refresh(), asyncio.create_task(refresh()), return_exceptions=True)
        cancelled = asyncio.create_task(refresh())
        await asyncio.sleep(0.1)
        cancelled.cancel()
        del running


asyncio.run(main())
