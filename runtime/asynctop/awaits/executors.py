"""Thread pools: which one a job is in, and how busy that is."""

from __future__ import annotations

import concurrent.futures
import sys
from typing import Any

Executor = tuple[Any, str, dict[str, int]]
"""What identifies it, its description, and its numbers: threads, and jobs queued."""


def executor_of(job: concurrent.futures.Future[Any]) -> Executor:
    """The pool that a job waits in. The pool of a job that runs already is not known, but that it runs."""
    if not job._state.startswith("PENDING"):
        return job, "a job that runs in an executor", {"running": 1}
    pools = sys.modules.get("concurrent.futures.thread")
    threads_of: dict[int, list[Any]] = {}
    queues: dict[int, Any] = {}
    for thread, queue in list(getattr(pools, "_threads_queues", {}).items()):
        threads_of.setdefault(id(queue), []).append(thread)
        queues[id(queue)] = queue
    for number, queue in queues.items():
        waiting = list(getattr(queue, "queue", ()))
        if any(getattr(item, "future", None) is job for item in waiting):
            threads = threads_of[number]
            numbers = {"running": 0, "threads": len(threads), "queued": len(waiting)}
            return queue, f"{_pool(threads[0])} of {len(threads)} threads", numbers
    return job, "a job that waits for an executor", {"running": 0}


def _pool(thread: Any) -> str:
    """A pool is called by what its threads are called, less their numbers."""
    return str(thread.name).rpartition("_")[0] or "ThreadPoolExecutor"
