"""self-wake-spin: tasks that keep themselves awake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from asynctop_console.lints.finding import MS, Finding, Lint, Severity, at
from asynctop_console.model import Model
from asynctop_protocol.messages import State

SHORTEST_WINDOW_NS = 400_000_000
"""A rate over less says nothing."""


@dataclass(frozen=True)
class SelfWakeSpin(Lint):
    """A task keeps waking itself, so the loop never rests: it asks again and again instead of waiting.

    The task yields with `asyncio.sleep(0)`, or something like it, and asks again whether there is anything to
    do. It is always ready, so the loop never sleeps: a processor is kept busy for nothing, and everybody
    else's polls come later.

    Wait for what is to happen: an `Event`, a `Condition`, a `Queue`, a future. Where one must ask again and
    again, sleep for some milliseconds in between.
    """

    name: ClassVar[str] = "self-wake-spin"
    severity: ClassVar[Severity] = Severity.WARNING

    least_wakes: Annotated[int, "self wakes since the task began: one now and then is good manners"] = 1_000
    least_per_second: Annotated[float, "recent self wakes a second"] = 200.0
    least_share: Annotated[
        float, "self wakes among recent wakes: below it, the task waits for somebody else in between"
    ] = 0.9
    least_of_crowd: Annotated[
        float, "self wakes a second of each of many of a kind: they share the loop's time"
    ] = 20.0
    most_poll_ms: Annotated[
        float, "ms a poll takes: who has more to do than to ask again computes, and yields as it should"
    ] = 0.1
    most_told: Annotated[int, "tasks of one kind told one by one: more are told as their kind"] = 3

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each such task, or for its kind where there are many."""
        tasks = model.tasks
        window_ns = model.now_ns - tasks.recent_since_ns
        if window_ns < SHORTEST_WINDOW_NS:
            return
        seconds = window_ns / 1e9
        # Of a million tasks, few have ever woken themselves: the others are not looked at any more.
        rows = np.flatnonzero(tasks.self_wakes >= min(self.least_per_second, self.least_of_crowd) * seconds)
        rows = rows[~tasks.in_state(State.DONE, rows)]
        own, wakes, kinds = tasks.recent("self_wakes", rows), tasks.recent("wakes", rows), tasks.kind[rows]
        asks = (own >= self.least_share * wakes) & (
            tasks.recent("busy_ns", rows) <= self.most_poll_ms * MS * own
        )
        spins = asks & (tasks.self_wakes[rows] >= self.least_wakes) & (own >= self.least_per_second * seconds)
        of_crowd = asks & (own >= self.least_of_crowd * seconds)
        for kind in np.unique(kinds[spins | of_crowd]).tolist():
            found = (kinds == kind) & (spins | of_crowd)
            if own[found].sum() < self.least_wakes * seconds or np.count_nonzero(found) <= self.most_told:
                found = (kinds == kind) & spins
            ids, wakes_itself = tasks.id[rows[found]].tolist(), own[found].tolist()
            if not ids:
                continue  # no crowd, and none that spins by itself
            label = model.kinds.label(kind)
            file, line = model.kinds.defined(kind)
            place = (label, file, line) if file else None
            where = at(place) or f" in {label}()"
            yields = _yields(model, ids)
            if len(ids) > self.most_told:
                yield self.about_kind(
                    model,
                    kind,
                    f"{len(ids):,} tasks of {label}() wake themselves "
                    f"{int(sum(wakes_itself) / seconds):,} times a second{where}"
                    f"{f', and yield{yields}' if yields else ''}. "
                    "Let them wait for an event instead of asking again.",
                    ids,
                    place=place,
                )
                continue
            for id, times in zip(ids, wakes_itself, strict=True):
                yield self.about_task(
                    model,
                    id,
                    f"Task {model.task_name(id)} wakes itself "
                    f"{int(times / seconds):,} times a second{where}"
                    f"{f', and yields{yields}' if yields else ''}. "
                    "Wait for an event instead of asking again.",
                    place=place,
                )


def _yields(model: Model, tasks: list[int]) -> str:
    """ " in worker() at app/web.py:41": where one of them was seen to wait for nothing."""
    seen = (chain for task in tasks if (chain := model.waits.chain(task)) is not None)
    return next((at(model.waits.place(chain.task)) for chain in seen if chain.waiting_on is None), "")
