"""Tasks as rows: what lists and pages show of a task, and where its figures come from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asynctop_console.model import Model
from asynctop_console.model.columns import Ints
from asynctop_console.model.places import short, users_frame
from asynctop_console.model.tasks import ALL, Selection
from asynctop_console.snapshot import Json, tasks_json
from asynctop_console.views.editor import Place
from asynctop_console.views.frame import Frame, culprit
from asynctop_console.views.list import ListRows
from asynctop_console.views.order import Ids
from asynctop_protocol.messages import State, WakerSource

STATES: dict[str, tuple[str, str]] = {
    "idle": ("·", "idle"),
    "scheduled": ("○", "scheduled"),
    "polling": ("►", "polling"),
    "blocking": ("█", "bad"),
    "returned": ("✓", "muted"),
    "raised": ("✗", "bad"),
    "cancelled": ("⊘", "muted"),
    "destroyed": ("†", "warn"),
    "done": ("✓", "muted"),
}
"""Glyph and role of each state; a done task is in the state of its outcome."""

_WORDS = list(STATES)
_BLOCKING = _WORDS.index("blocking")
_OF_STATE = np.array([_WORDS.index(w) for w in ("idle", "scheduled", "polling", "done")])
_OF_OUTCOME = np.array(
    [_WORDS.index(w) for w in ("done", "returned", "raised", "cancelled", "destroyed", "done")]
)


class TaskRecord(NamedTuple):
    """What the columns show of one task."""

    id: int
    state: str
    name: str
    kind: str
    place: str
    polls: int
    busy_ns: int
    max_ns: int
    """The longest poll; the running one while it blocks."""
    scheduled_ns: int
    idle_ns: int
    age_ns: int
    wakes: int
    self_wakes: int
    parent: str
    """Name of the task that spawned it, "" for none."""
    loop: int
    waker: str
    blocked_ns: int
    culprit: str
    """Where it blocks, once somebody looked."""
    flagged: bool
    done: bool


def state_codes(frame: Frame) -> NDArray[np.int64]:
    """Row by row, the number of the task's state in `STATES`."""
    tasks = frame.model.tasks
    codes = np.where(tasks.state == State.DONE, _OF_OUTCOME[tasks.outcome], _OF_STATE[tasks.state])
    codes[frame.blocking] = _BLOCKING
    return codes


def waker_text(model: Model, source: int, task: int, name: int) -> str:
    """Who did the last wake: "task fetch-3", "timer", "" before the first."""
    if source == WakerSource.TASK:
        row = model.tasks.row(task)
        return f"task {model.tasks.name(row) if row is not None else task}"
    if source == WakerSource.UNKNOWN:
        return ""
    word = "I/O" if source == WakerSource.IO else WakerSource(source).name.lower()
    by = model.text(name)
    return f"{word} {by}" if by else word


def task_place(frame: Frame, task: int) -> Place | None:
    """The user's line at which a task blocks, else at which it waits, else at which it is defined."""
    row = frame.model.tasks.row(task)
    chain = frame.model.chains.get(task)
    stalled = next((stall.stack for stall in frame.ongoing if stall.task == task), [])
    found = users_frame(stalled or (chain.frames if chain else []))
    if found is not None:
        return found[1:]
    file, line = ("", 0) if row is None else frame.model.kinds.defined(int(frame.model.tasks.kind[row]))
    return (file, line) if file else None


def task_json(frame: Frame, task: int) -> Json | None:
    """A task as the snapshot has it, None where it is gone."""
    row = frame.model.tasks.row(task)
    return None if row is None else tasks_json(frame.model, frame.findings, np.array([row]))[0]


class TaskRows(ListRows[TaskRecord]):
    """The task table's rows as a list."""

    def __init__(self) -> None:
        super().__init__()
        self.hide_finished = False
        self.only_flagged = False
        self.recent = False
        """Whether figures are those of the last five seconds or so, and not since the start."""

    def ids(self, frame: Frame) -> Ids:
        """Task ids."""
        return frame.model.tasks.id

    def wanted(self, frame: Frame) -> NDArray[np.bool_] | None:
        """What passes the filter and the switches."""
        mask = super().wanted(frame)
        switches = []
        if self.hide_finished:
            switches.append(frame.model.tasks.state != State.DONE)
        if self.only_flagged:
            switches.append(flagged(frame))
        for switch in switches:
            mask = switch if mask is None else mask & switch
        return mask

    def bands(self, frame: Frame) -> NDArray[np.int8]:
        """Blocking tasks first, ended ones last."""
        bands: NDArray[np.int8] = (frame.model.tasks.state == State.DONE).astype(np.int8)
        bands[frame.blocking] = -1
        return bands

    # Figures, row by row

    def polls(self, frame: Frame, rows: Selection = ALL) -> Ints:
        """How often they were polled."""
        return self._counted(frame, "polls", rows)

    def wakes(self, frame: Frame, rows: Selection = ALL) -> Ints:
        """How often they were woken."""
        return self._counted(frame, "wakes", rows)

    def self_wakes(self, frame: Frame, rows: Selection = ALL) -> Ints:
        """How often they woke themselves."""
        return self._counted(frame, "self_wakes", rows)

    def busy_ns(self, frame: Frame, rows: Selection = ALL) -> Ints:
        """Time in polls."""
        tasks, now = frame.model.tasks, frame.model.now_ns
        return tasks.busy_lately(now, rows) if self.recent else tasks.busy_at(now, rows)

    def scheduled_ns(self, frame: Frame, rows: Selection = ALL) -> Ints:
        """Time woken but not polled."""
        tasks, now = frame.model.tasks, frame.model.now_ns
        return tasks.scheduled_lately(now, rows) if self.recent else tasks.scheduled_at(now, rows)

    def idle_ns(self, frame: Frame, rows: Selection = ALL) -> Ints:
        """Time neither in polls nor woken."""
        tasks, now = frame.model.tasks, frame.model.now_ns
        return tasks.idle_lately(now, rows) if self.recent else tasks.idle_ns(now, rows)

    def _counted(self, frame: Frame, column: str, rows: Selection) -> Ints:
        tasks = frame.model.tasks
        return tasks.recent(column, rows) if self.recent else tasks.store[column][: tasks.rows][rows]

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[TaskRecord]:
        """The records of these tasks."""
        model = frame.model
        tasks, kinds, now = model.tasks, model.kinds, model.now_ns
        blocked = {s.task: culprit(s) for s in frame.ongoing if s.task}
        columns = zip(
            rows.tolist(),
            tasks.id[rows].tolist(),
            state_codes(frame)[rows].tolist(),
            tasks.kind[rows].tolist(),
            tasks.since_ns[rows].tolist(),
            tasks.max_poll_ns[rows].tolist(),
            tasks.waker_source[rows].tolist(),
            tasks.waker_task[rows].tolist(),
            tasks.waker_name[rows].tolist(),
            zip(
                self.polls(frame, rows).tolist(),
                self.busy_ns(frame, rows).tolist(),
                self.scheduled_ns(frame, rows).tolist(),
                self.idle_ns(frame, rows).tolist(),
                tasks.age_ns(now, rows).tolist(),
                self.wakes(frame, rows).tolist(),
                self.self_wakes(frame, rows).tolist(),
                tasks.parent[rows].tolist(),
                tasks.loop[rows].tolist(),
                strict=True,
            ),
            strict=True,
        )
        records = []
        for row, id, code, kind, since, longest, source, waker, by, numbers in columns:
            polls, busy, scheduled, idle, age, wakes, self_wakes, parent, loop = numbers
            state = _WORDS[code]
            blocked_ns = max(frame.now_ns - since, 0) if code == _BLOCKING else 0
            records.append(
                TaskRecord(
                    id=id,
                    state=state,
                    name=tasks.name(row) or f"task {id}",
                    kind=kinds.label(kind),
                    place=short(*kinds.spawn(kind)),
                    polls=polls,
                    busy_ns=busy,
                    max_ns=max(longest, blocked_ns),
                    scheduled_ns=scheduled,
                    idle_ns=idle,
                    age_ns=age,
                    wakes=wakes,
                    self_wakes=self_wakes,
                    parent=model.task_name(parent) if parent else "",
                    loop=loop,
                    waker=waker_text(model, source, waker, by),
                    blocked_ns=blocked_ns,
                    culprit=blocked.get(id, ""),
                    flagged=id in frame.flagged,
                    done=bool(tasks.ended_ns[row]),
                )
            )
        return records

    def ground(self, record: TaskRecord) -> str:
        """Red while it blocks."""
        return "blocking" if record.blocked_ns else "ground"


def flagged(frame: Frame) -> NDArray[np.bool_]:
    """Which tasks there are warnings about."""
    return np.isin(frame.model.tasks.id, np.fromiter(frame.flagged, np.int64, len(frame.flagged)))
