"""A session is cancelled, and hangs on for long: it says goodbye to a peer that does not answer.

subject: task session
"""

import asyncio


async def say_goodbye() -> None:
    await asyncio.sleep(60)  # here


async def hold_session() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        await say_goodbye()


async def main() -> None:
    session = asyncio.create_task(hold_session(), name="session")
    print("ready")
    await asyncio.sleep(0.3)
    session.cancel()
    await asyncio.wait([session])


asyncio.run(main())
