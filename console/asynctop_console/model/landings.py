"""Cancellations that landed: who or what requested them, and where they were raised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from asynctop_console.clean import clean
from asynctop_console.model import limits
from asynctop_console.model.columns import clipped
from asynctop_console.model.places import Frame, short, users_frame
from asynctop_console.model.text import clean_frames
from asynctop_protocol.messages import Cancellation, WakerSource


class Landings:
    """The cancellations that the runtime has told of: by place and reason, and the last one of each task."""

    def __init__(self) -> None:
        self._places: dict[int, Cancellation] = {}
        self._tasks: dict[int, Cancellation] = {}
        self.version = 0
        """Another one whenever something came."""

    def landed(self, told: Iterable[Cancellation]) -> None:
        """Take in what came."""
        self.version += 1
        for each in told:
            tasks = [clipped(task) for task in each.tasks[-limits.NOTES :]]
            known = replace(
                each,
                count=clipped(each.count),
                tasks=tasks,
                requested_ns=clipped(each.requested_ns),
                landed_ns=clipped(each.landed_ns),
                source=each.source if each.source in _SOURCES else WakerSource.UNKNOWN,
                by=clipped(each.by),
                name=clean(each.name),
                by_stack=clean_frames(each.by_stack),
                stack=clean_frames(each.stack),
                timeout=clean_frames(each.timeout),
            )
            _keep(self._places, each.id, known, limits.INCIDENTS)
            if tasks:
                # When is that of the last one; of the others, what all have in common.
                common = replace(known, requested_ns=0, landed_ns=0)
                for task in tasks[:-1]:
                    if self._tasks.get(task, common).id != known.id or task not in self._tasks:
                        _keep(self._tasks, task, common, limits.LANDED)
                _keep(self._tasks, tasks[-1], known, limits.LANDED)

    def of(self, task: int) -> Cancellation | None:
        """The last one of a task; `landed_ns` is 0 where it was one of many at once. None where none is
        known."""
        return self._tasks.get(task)

    @property
    def timeouts(self) -> list[Cancellation]:
        """Timeouts that fired, by where they were set and what they interrupted."""
        return [each for each in self._places.values() if each.timeout]

    @property
    def places(self) -> list[Cancellation]:
        """All of them, by place and reason."""
        return list(self._places.values())


_SOURCES = frozenset(WakerSource)


def _keep(where: dict[int, Cancellation], key: int, known: Cancellation, most: int) -> None:
    where.pop(key, None)
    where[key] = known
    if len(where) > most:
        del where[next(iter(where))]


def reason(landing: Cancellation, name: str) -> str:
    """Who or what requested it: "by task main, then at app/main.py:31", "" where that is not known. `name` is
    that of the task that did."""
    if landing.timeout:
        return f"by the timeout set at {place(landing.timeout)}"
    if landing.source == WakerSource.TASK:
        then = f", then at {place(landing.by_stack)}" if landing.by_stack else ""
        return f"by task {name}{then}" if name else "by another task"
    if by_group(landing):
        return "by its TaskGroup, as another task in it failed"
    if landing.source == WakerSource.UNKNOWN:
        return ""
    word = "I/O" if landing.source == WakerSource.IO else WakerSource(landing.source).name.lower()
    return f"by {word} {landing.name}".rstrip()


def by_group(landing: Cancellation) -> bool:
    """Whether a `TaskGroup` requested it, to interrupt the block that waits for a task that has failed. The
    group catches it again, and raises what the task did."""
    return landing.name == "TaskGroup._on_task_done"


def place(stack: list[Frame], width: int = 40) -> str:
    """The user's innermost line in a stack, as "app/web.py:12"; "" for an empty one."""
    found = users_frame(stack)
    return short(found[1], found[2], width) if found else ""
