"""Workers that catch a CancelledError for good reasons: they raise it again after cleaning up, it is that of
a task that they have cancelled themselves, they withdraw it, or it is a timeout's or a task group's."""

import asyncio
from contextlib import suppress


async def tidy() -> None:
    try:
        await asyncio.sleep(60)
    except BaseException as error:
        await asyncio.sleep(0.05)
        if not isinstance(error, asyncio.CancelledError):
            return
        raise


async def restart_again_and_again() -> None:
    while True:
        child = asyncio.create_task(tidy(), name="child")
        await asyncio.sleep(0.1)
        child.cancel()
        with suppress(asyncio.CancelledError):
            await child


async def give_up_now_and_then() -> None:
    while True:
        try:
            async with asyncio.timeout(0.05):
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pass


async def stay() -> None:
    """What `asyncio.Task.uncancel` is for."""
    task = asyncio.current_task()
    assert task is not None
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            task.uncancel()


async def fail_together() -> None:
    async def fail() -> None:
        await asyncio.sleep(0.1)
        raise ValueError

    while True:
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(tidy())
                group.create_task(fail())
                await asyncio.sleep(60)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(restart_again_and_again(), name="restarter")
        group.create_task(give_up_now_and_then(), name="impatient")
        group.create_task(fail_together(), name="together")
        stubborn = group.create_task(stay(), name="stubborn")
        print("ready")
        while True:
            await asyncio.sleep(0.2)
            stubborn.cancel()


asyncio.run(main())
