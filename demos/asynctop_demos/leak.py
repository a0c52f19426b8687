"""Twenty sessions a second are started and none ever ends: Kinds shows wait_for_goodbye only grow.

A chat server that starts a task for each visitor to await a goodbye, and loses the event that would say it.
What the visitors ask meanwhile is answered by tasks that end as they should. The leak stops at 5,000 tasks to
spare the machine.
"""

import asyncio
from contextlib import suppress
from itertools import count

SANE_CAP = 5_000


async def wait_for_goodbye(goodbye: asyncio.Event) -> None:
    """Sick: nobody keeps the event, so nobody can set it."""
    await goodbye.wait()


async def answer() -> None:
    """Healthy: takes a moment and ends."""
    await asyncio.sleep(0.03)


async def main() -> None:
    """Welcome twenty visitors a second."""
    sessions: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as answers:
        for visitor in count(1):
            if len(sessions) < SANE_CAP:
                sessions.add(
                    asyncio.create_task(wait_for_goodbye(asyncio.Event()), name=f"session-{visitor}")
                )
            answers.create_task(answer(), name=f"answer-{visitor}")
            await asyncio.sleep(0.05)
            if visitor == 10:
                print(f"ready: {visitor} visitors came, {len(sessions)} sessions are still open", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
