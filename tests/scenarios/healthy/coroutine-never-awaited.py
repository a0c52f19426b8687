"""The same with coroutines that are awaited late, made into tasks, or closed on purpose."""

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
    written = audit.write(answer)
    unwanted = audit.write("nothing")
    await asyncio.sleep(0.01)
    await asyncio.gather(written, asyncio.create_task(audit.write("and again")))
    unwanted.close()
    return answer


async def main() -> None:
    warnings.simplefilter("ignore")
    print("ready")
    audit = Audit()
    for number in range(10**9):
        await handle(audit, number)
        audit.records.clear()
        await asyncio.sleep(0.05)


asyncio.run(main())
