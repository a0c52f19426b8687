"""executor-exhausted: jobs that wait for a thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from asynctop_console.lints.finding import MS, Finding, Lint, Severity, at
from asynctop_console.model import Model, duration


@dataclass(frozen=True)
class ExecutorExhausted(Lint):
    """There are more blocking jobs than an executor has threads, so tasks wait for one to be free.

    `asyncio.to_thread()` and `run_in_executor()` hand a job to a pool of threads, and a job that finds them
    all busy waits in the pool's queue. The default pool is small (the number of processors and 4, at most
    32), and everybody shares it: name resolution too.

    Give slow jobs an executor of their own with as many threads as the service behind it can take, limit how
    many jobs are handed over at a time, and give each a timeout so that one that hangs does not keep its
    thread for ever.
    """

    name: ClassVar[str] = "executor-exhausted"
    severity: ClassVar[Severity] = Severity.WARNING

    least_ms: Annotated[float, "ms that a job has been waiting for a thread"] = 300.0

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each executor."""
        for pool in model.waits.resources.values():
            threads = pool.attributes.get("threads", 0)
            if pool.type != "executor" or not threads:
                continue
            late = [task for task in pool.waiters if model.waits.idle_ns(task) >= self.least_ms * MS]
            if not late:
                continue
            places = Counter(place for task in late if (place := model.waits.place(task)) is not None)
            place = places.most_common(1)[0][0] if places else None
            longest = duration(max(model.waits.idle_ns(task) for task in late))
            queued = pool.attributes.get("queued", len(late))
            yield Finding(
                self.name,
                self.severity,
                "resource",
                pool.id,
                pool.description,
                f"All {threads} threads of the executor {pool.description.rpartition(' of ')[0]} are busy, "
                f"and {queued:,} jobs wait for one, {longest} at most{at(place)}. Give it more threads, or "
                "fewer and shorter jobs.",
                frozenset(late),
                place,
            )
