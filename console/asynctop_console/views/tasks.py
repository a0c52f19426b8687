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
from asynctop_console.views.family import Family, Folded
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

_DEEPEST = 8
"""Levels of the tree that are drawn by indenting; of deeper ones it is said how deep they are."""

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
    branch: str
    """What leads to it in a tree."""
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


def state_codes(frame: Frame, rows: Selection = ALL) -> NDArray[np.int64]:
    """Row by row, the number of the task's state in `STATES`."""
    tasks = frame.model.tasks
    state = tasks.state[rows]
    codes = np.where(tasks.in_state(State.DONE, rows), _OF_OUTCOME[tasks.outcome[rows]], _OF_STATE[state])
    codes[frame.blocking(rows)] = _BLOCKING
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

    vast = True

    def __init__(self) -> None:
        super().__init__()
        self.hide_finished = False
        self.only_flagged = False
        self.recent = False
        """Whether figures are those of the last five seconds or so, and not since the start."""
        self.tree = False
        """Whether tasks stand below those that spawned them."""
        self.folded = Folded()
        self._family = Family(np.empty(0, np.int64), np.empty(0, np.int64))
        """As of the last order."""

    def ids(self, frame: Frame) -> Ids:
        """Task ids."""
        return frame.model.tasks.id

    def wanted(self, frame: Frame) -> NDArray[np.bool_] | None:
        """What passes the filter and the switches."""
        mask = super().wanted(frame)
        switches = []
        if self.hide_finished:
            switches.append(~frame.model.tasks.in_state(State.DONE))
        if self.only_flagged:
            switches.append(flagged(frame))
        for switch in switches:
            mask = switch if mask is None else mask & switch
        if self.tree:
            family = self._family
            unfolded = ~family.below(self.folded.of(family.ids))
            mask = unfolded if mask is None else family.above(mask) & unfolded
        return mask

    def arrange(self, frame: Frame, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """In a tree, siblings as the column has it."""
        if not self.tree:
            return keys
        self._family = Family(frame.model.tasks.id.copy(), frame.model.tasks.parent)
        return self._family.order(keys)

    def bands(self, frame: Frame) -> NDArray[np.int8] | None:
        """Blocking tasks first, ended ones last; in a tree each has its place."""
        if self.tree:
            return None
        bands: NDArray[np.int8] = frame.model.tasks.in_state(State.DONE).astype(np.int8)
        bands[frame.blocking()] = -1
        return bands

    def urgent(self, frame: Frame) -> Ids:
        """Blocking tasks; in a tree none."""
        ids = frame.model.tasks.id
        return ids[:0] if self.tree else ids[np.flatnonzero(frame.blocking())]

    def fold(self, id: int, folded: bool) -> bool:
        """Fold a task's children away, or unfold them; False where there was nothing to do."""
        row = self._family.row(id)
        if row is None or not self._family.children[row] or self.folded.has(id) == folded:
            return False
        self.folded.fold(id, folded)
        return True

    def forget(self) -> None:
        """See `View.forget`."""
        self.folded.but = set()

    def parent_of(self, id: int) -> int | None:
        """The task above this one in the tree."""
        row = self._family.row(id)
        above = -1 if row is None else int(self._family.parent[row])
        return int(self._family.ids[above]) if above >= 0 else None

    def _branch(self, id: int) -> str:
        """What leads to a task in the tree: blanks by its depth, and whether there is more below."""
        row = self._family.row(id) if self.tree else None
        if row is None:
            return ""
        depth = int(self._family.depth[row])
        sign = "  " if not self._family.children[row] else "+ " if self.folded.has(id) else "- "
        return (f"{depth}… " if depth > _DEEPEST else "") + "  " * min(depth, _DEEPEST) + sign

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
        labels = {kind: kinds.label(kind) for kind in set(tasks.kind[rows].tolist())}
        places = {kind: short(*kinds.spawn(kind)) for kind in labels}
        columns = zip(
            rows.tolist(),
            tasks.id[rows].tolist(),
            state_codes(frame, rows).tolist(),
            tasks.kind[rows].tolist(),
            tasks.since_ns[rows].tolist(),
            tasks.max_poll_at(now, rows).tolist(),
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
                tasks.rows_of(tasks.parent[rows]).tolist(),
                tasks.loop[rows].tolist(),
                strict=True,
            ),
            strict=True,
        )
        records = []
        for row, id, code, kind, since, longest, source, waker, by, numbers in columns:
            polls, busy, scheduled, idle, age, wakes, self_wakes, parent, above, loop = numbers
            state = _WORDS[code]
            blocked_ns = max(frame.known_ns - since, 0) if code == _BLOCKING else 0
            records.append(
                TaskRecord(
                    id=id,
                    state=state,
                    branch=self._branch(id),
                    name=tasks.name(row) or f"task {id}",
                    kind=labels[kind],
                    place=places[kind],
                    polls=polls,
                    busy_ns=busy,
                    max_ns=max(longest, blocked_ns),
                    scheduled_ns=scheduled,
                    idle_ns=idle,
                    age_ns=age,
                    wakes=wakes,
                    self_wakes=self_wakes,
                    parent=(tasks.name(above) if above >= 0 else "") or (f"task {parent}" if parent else ""),
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
    tasks = np.fromiter(frame.flagged, np.int64, len(frame.flagged))
    return np.isin(frame.model.tasks.id, tasks)
