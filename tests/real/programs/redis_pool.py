"""A pool of connections to Redis, used by more tasks than it has connections: counters, pipelines, a queue of
jobs, messages that are published, a lock that Redis holds."""

import asyncio
import random
import sys

import redis.asyncio as redis

SOCKET = sys.argv[1]


async def count(client: redis.Redis, number: int) -> None:
    """Small commands, some together."""
    while True:
        await client.incr(f"count:{number}")
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.set(f"key:{number}", "x" * 1_000, ex=5)
            pipeline.get(f"key:{number - 1}")
            pipeline.expire(f"count:{number}", 5)
            await pipeline.execute()
        await asyncio.sleep(random.uniform(0.02, 0.08))


async def produce(client: redis.Redis) -> None:
    """Jobs, and the news of them."""
    number = 0
    while True:
        await client.rpush("jobs", number)
        await client.publish("news", f"job {number}")
        number += 1
        await asyncio.sleep(0.01)


async def work(client: redis.Redis) -> None:
    """Waits for jobs: each wait keeps a connection."""
    while True:
        job = await client.blpop(["jobs"], timeout=1)
        if job is not None:
            await asyncio.sleep(0.01)


async def listen(client: redis.Redis) -> None:
    """To the news."""
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        async for _ in pubsub.listen():
            pass


async def alone(client: redis.Redis) -> None:
    """Does something that only one may do at a time."""
    while True:
        async with client.lock("alone", timeout=10, sleep=0.05):
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)


async def main() -> None:
    """All of them, until killed."""
    pool = redis.BlockingConnectionPool.from_url(f"unix://{SOCKET}", max_connections=16, timeout=20)
    client = redis.Redis(connection_pool=pool)
    await client.ping()
    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(count(client, number), name=f"count {number}")
        for number in range(4):
            tasks.create_task(work(client), name=f"work {number}")
            tasks.create_task(alone(client), name=f"alone {number}")
        tasks.create_task(produce(client))
        tasks.create_task(listen(client))
        print("ready", flush=True)


asyncio.run(main())
