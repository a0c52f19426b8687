"""A handler forgets to await the coroutine that writes its audit record: nothing is ever written.

subject: kind Audit.write
"""

import asyncio
import warnings


class Audit:
    def __init__(self) -> None:
        self.records: list[str] = []

    async def write(self, record: str) -> None:
        await asyncio.sleep(0)
        self.records.append(record)


async def handle(audit: Audit, number: int) -> str:
    answer = f"order {number}"
    audit.write(answer)  # type: ignore[unused-coroutine]  # here
    await asyncio.sleep(0.01)
    return answer


async def main() -> None:
    warnings.simplefilter("ignore")  # nobody reads them in production
    print("ready")
    audit = Audit()
    for number in range(10**9):
        await handle(audit, number)
        await asyncio.sleep(0.05)


asyncio.run(main())
