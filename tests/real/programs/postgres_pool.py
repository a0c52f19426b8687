"""asyncpg's pool of connections to PostgreSQL, used by more tasks than it has connections: queries,
transactions of which some fail and are tried again, copies, cursors, notifications."""

import asyncio
import random
import sys

import asyncpg

DIRECTORY = sys.argv[1]


async def query(pool: asyncpg.Pool, number: int) -> None:
    """Reads, with a timeout."""
    while True:
        async with pool.acquire(timeout=20) as connection:
            await connection.fetch(
                "select id, balance from accounts where id % 50 = $1 limit 20", number, timeout=10
            )
        await asyncio.sleep(random.uniform(0.05, 0.15))


async def transfer(pool: asyncpg.Pool) -> None:
    """Writes: two at once may want the same row, so some have to begin again."""
    while True:
        one, other = random.sample(range(1_000), 2)
        try:
            async with pool.acquire() as connection, connection.transaction(isolation="serializable"):
                await connection.execute("update accounts set balance = balance - 1 where id = $1", one)
                await connection.execute("update accounts set balance = balance + 1 where id = $1", other)
                await connection.execute("select pg_notify('transfers', $1)", f"{one} {other}")
        except asyncpg.exceptions.SerializationError:
            continue
        except asyncpg.exceptions.DeadlockDetectedError:
            continue
        await asyncio.sleep(random.uniform(0.05, 0.15))


async def load(pool: asyncpg.Pool) -> None:
    """Many rows at once, and all of them read again one by one."""
    while True:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("create temporary table loaded (id int, text text) on commit drop")
            await connection.copy_records_to_table("loaded", records=[(i, "x" * 50) for i in range(500)])
            async for _ in connection.cursor("select * from loaded", prefetch=100):
                pass
        await asyncio.sleep(0.3)


async def listen() -> None:
    """To what is notified, on a connection of its own."""
    connection = await asyncpg.connect(host=DIRECTORY, user="asynctop", database="postgres")
    heard: asyncio.Queue[str] = asyncio.Queue(maxsize=10_000)
    await connection.add_listener("transfers", lambda *args: heard.put_nowait(args[3]))
    while True:
        await heard.get()


async def main() -> None:
    """All of them, until killed."""
    async with asyncpg.create_pool(
        host=DIRECTORY, user="asynctop", database="postgres", min_size=4, max_size=10
    ) as pool:
        await pool.execute("drop table if exists accounts")
        await pool.execute("create table accounts (id int primary key, balance int)")
        await pool.execute("insert into accounts select i, 100 from generate_series(0, 999) i")
        async with asyncio.TaskGroup() as tasks:
            for number in range(25):
                tasks.create_task(query(pool, number), name=f"query {number}")
            for number in range(10):
                tasks.create_task(transfer(pool), name=f"transfer {number}")
            tasks.create_task(load(pool))
            tasks.create_task(listen())
            print("ready", flush=True)


asyncio.run(main())
