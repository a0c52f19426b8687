"""Events that a signal, a timer, a callback of a task or a task later in its life will set."""

import asyncio
import signal

STOP = asyncio.Event()


async def wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def late(event: asyncio.Event) -> None:
    await asyncio.sleep(600)
    finish(event)


def finish(event: asyncio.Event) -> None:
    event.set()


async def stop() -> None:
    await STOP.wait()


async def main() -> None:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, STOP.set)
    timed, called, set_late = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop.call_later(600, timed.set)
    job = asyncio.create_task(asyncio.sleep(600), name="job")
    job.add_done_callback(lambda _: called.set())
    async with asyncio.TaskGroup() as group:
        for event in (timed, called, set_late):
            group.create_task(wait_for(event))
        group.create_task(late(set_late))
        group.create_task(stop())
        print("ready")


asyncio.run(main())
