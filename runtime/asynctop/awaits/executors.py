"""Thread pools: which one a job is in, and how busy that is."""

from __future__ import annotations

import concurrent.futures
import gc
import sys
import weakref
from typing import Any

Executor = tuple[Any, str, dict[str, int]]
"""What identifies it, its description, and its numbers."""

MOST_QUEUED = 1000
"""Jobs looked through to find out which of several pools one waits for."""


def executor_of(job: concurrent.futures.Future[Any]) -> Executor:
    """The pool that a job waits for. The pool of a job that runs already is not known, but that it runs."""
    if job._state != "PENDING":
        return job, "a job that runs in an executor", {"running": 1}
    crowded = [pool for pool in _pools() if pool._work_queue.qsize()]
    for pool in crowded:
        if len(crowded) == 1 or _is_queued(job, pool):
            threads = len(pool._threads)
            numbers = {"running": 0, "threads": threads, "queued": pool._work_queue.qsize()}
            return pool, f"{pool._thread_name_prefix or type(pool).__name__} of {threads} threads", numbers
    return job, "a job that waits for an executor", {"running": 0}


def _pools() -> list[Any]:
    """The thread pools there are. Each of their threads has a weak reference to its pool as an argument."""
    module = sys.modules.get("concurrent.futures.thread")
    found = {}
    for thread in list(getattr(module, "_threads_queues", ())):
        reference = next(iter(getattr(thread, "_args", ())), None)
        pool = reference() if isinstance(reference, weakref.ref) else None
        if isinstance(pool, concurrent.futures.ThreadPoolExecutor):
            found[id(pool)] = pool
    return list(found.values())


def _is_queued(job: concurrent.futures.Future[Any], pool: Any) -> bool:
    # A queue written in C says what it holds to the garbage collector only: its items, or a list of them.
    items: list[Any] = []
    for each in gc.get_referents(pool._work_queue):
        items += each if isinstance(each, list) else [each]
    return any(getattr(item, "future", None) is job for item in items[:MOST_QUEUED])
