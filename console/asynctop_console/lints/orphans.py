"""orphaned-task: tasks that outlive their parent while nobody refers to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from asynctop_console.lints.finding import MS, Finding, Lint, Severity, at
from asynctop_console.model import Frame, Model, duration, short, users_frame
from asynctop_protocol.messages import State


@dataclass(frozen=True)
class OrphanedTask(Lint):
    """A task lives on after its parent has ended, and nobody holds or awaits it: it may vanish unfinished.

    The task that spawned it has ended, and no variable, collection or waiting task refers to it. Nobody will
    see its result or its exception, nobody can cancel it, and the garbage collector may take it once what it
    waits for is gone.

    Await it before the parent ends, spawn it in an `asyncio.TaskGroup`, or keep it in a set of background
    tasks that lives as long as the program.
    """

    name: ClassVar[str] = "orphaned-task"
    severity: ClassVar[Severity] = Severity.WARNING

    least_ms: Annotated[
        float, "ms since the parent has ended: what it left behind may be about to end too"
    ] = 1_000

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each kind, about the task that has been an orphan for longest."""
        orphans: dict[int, list[tuple[int, int]]] = {}
        for chain in model.waits.chains.values():
            alone_ns = 0 if chain.held else _alone_ns(model, chain.task)
            if alone_ns >= self.least_ms * MS:
                row = model.tasks.row(chain.task)
                orphans.setdefault(int(model.tasks.kind[row]), []).append((alone_ns, chain.task))
        for kind, found in orphans.items():
            alone_ns, task = max(found)
            file, line = model.kinds.spawn(kind)
            place: Frame | None = ("", file, line) if file else None
            spawned = f": spawned at {short(file, line, width=60)}" if place else ""
            waits = at(users_frame(model.waits.chains[task].frames))
            more = f" So do {len(found) - 1:,} more of its kind." if len(found) > 1 else ""
            yield self.about_task(
                model,
                task,
                f"Task {model.task_name(task)} lives on {duration(alone_ns)} after its parent has ended, and "
                f"nobody holds or awaits it{spawned}{f', waiting{waits}' if waits else ''}.{more} "
                "Keep what create_task() returns, or spawn it in a TaskGroup that outlives it.",
                place=place,
            )


def _alone_ns(model: Model, task: int) -> int:
    """For how long a task has been waiting without its parent; 0 where it has one, or never had."""
    tasks = model.tasks
    row = tasks.row(task)
    if row is None or tasks.state[row] != State.IDLE or not tasks.parent[row]:
        return 0
    parent = tasks.row(int(tasks.parent[row]))
    if parent is None:  # it has ended so long ago that it is forgotten
        return model.now_ns - int(tasks.created_ns[row])
    return model.now_ns - int(tasks.ended_ns[parent]) if tasks.state[parent] == State.DONE else 0
