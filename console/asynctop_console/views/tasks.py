"""Screen 1: every task, the blocking ones on top, then the live ones, then those that ended."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from asynctop_console.model import Model
from asynctop_console.model.places import short, users_frame
from asynctop_console.model.times import duration
from asynctop_console.snapshot import Json, tasks_json
from asynctop_console.views.cells import age_text, count
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.editor import Place
from asynctop_console.views.filter import Choice, Coded, Fields, Flag, Mask, Number, Text, Who, one_each
from asynctop_console.views.frame import Frame, culprit
from asynctop_console.views.keys import bindings
from asynctop_console.views.list import ListRows, ListScreen
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
            switches.append(_flagged(frame))
        for switch in switches:
            mask = switch if mask is None else mask & switch
        return mask

    def bands(self, frame: Frame) -> NDArray[np.int8]:
        """Blocking tasks first, ended ones last."""
        bands: NDArray[np.int8] = (frame.model.tasks.state == State.DONE).astype(np.int8)
        bands[frame.blocking] = -1
        return bands

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
                tasks.polls[rows].tolist(),
                tasks.busy_at(now, rows).tolist(),
                tasks.scheduled_at(now, rows).tolist(),
                tasks.idle_ns(now, rows).tolist(),
                tasks.age_ns(now, rows).tolist(),
                tasks.wakes[rows].tolist(),
                strict=True,
            ),
            strict=True,
        )
        records = []
        for row, id, code, kind, since, longest, source, waker, by, numbers in columns:
            polls, busy, scheduled, idle, age, wakes = numbers
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


def _flagged(frame: Frame) -> Mask:
    return np.isin(frame.model.tasks.id, np.fromiter(frame.flagged, np.int64, len(frame.flagged)))


def _of_tasks(frame: Frame, ids: NDArray[np.int64], word: str) -> Mask:
    """Row by row, whether the task with that id has a name that holds the word."""
    tasks = frame.model.tasks
    return np.isin(ids, tasks.id[tasks.haystack.holding(word)])


def _parents(frame: Frame, word: str) -> Mask:
    return _of_tasks(frame, frame.model.tasks.parent, word)


def _wakers(frame: Frame, word: str) -> Mask:
    """Whose last waker holds the word: a task's name, a callback's, or what it is (timer, io, thread)."""
    model, tasks = frame.model, frame.model.tasks
    sources = [s for s in WakerSource if s and word.lower() in s.name.lower()]
    by_task = np.logical_and(tasks.waker_source == WakerSource.TASK, _of_tasks(frame, tasks.waker_task, word))
    by_name = np.isin(tasks.waker_name, model.texts_holding(word))
    found: Mask = by_task | by_name | np.isin(tasks.waker_source, sources)
    return found


def _loops(frame: Frame, word: str) -> Mask:
    """Which tasks run in a loop whose thread or runtime holds the word."""
    word = word.lower()
    found = [loop.id for loop in frame.model.loops if word in f"{loop.thread} {loop.runtime}".lower()]
    return np.isin(frame.model.tasks.loop, found)


def _kinds_by(frame: Frame, text: str) -> Coded:
    kinds = frame.model.kinds
    texts = [kinds.label(k) if text == "kind" else (kinds.spawned_at(k) or "") for k in range(kinds.rows)]
    return Coded(np.minimum(frame.model.tasks.kind, kinds.rows - 1), texts)


def _names(frame: Frame) -> Coded:
    tasks = frame.model.tasks
    return one_each(tasks.names.tolist())


def _ranks(coded: Coded) -> NDArray[np.int64]:
    """Keys that sort as the texts do, whatever their case."""
    codes, texts = coded
    lowered = [text.lower() for text in texts]
    rank = np.empty(len(texts), np.int64)
    rank[sorted(range(len(texts)), key=lowered.__getitem__)] = np.arange(len(texts))
    # Equal texts share a rank, so that ties go by id.
    first: dict[str, int] = {}
    for index in np.argsort(rank).tolist():
        rank[index] = first.setdefault(lowered[index], int(rank[index]))
    ranks: NDArray[np.int64] = rank[codes]
    return ranks


FIELDS: Fields = {
    "state": Choice(lambda f: Coded(state_codes(f), _WORDS), tuple(_WORDS)),
    "kind": Text(lambda f: _kinds_by(f, "kind")),
    "name": Text(lambda f: f.model.tasks.haystack),
    "spawned": Text(lambda f: _kinds_by(f, "spawned")),
    "parent": Who(
        "T", lambda f: f.model.tasks.parent, lambda f, word: _of_tasks(f, f.model.tasks.parent, word)
    ),
    "waker": Who("T", lambda f: f.model.tasks.waker_task, _wakers),
    "loop": Who("", lambda f: f.model.tasks.loop, _loops),
    "busy": Number(lambda f: f.model.tasks.busy_at(f.model.now_ns), time=True),
    "max": Number(lambda f: f.model.tasks.max_poll_ns, time=True),
    "sched": Number(lambda f: f.model.tasks.scheduled_at(f.model.now_ns), time=True),
    "idle": Number(lambda f: f.model.tasks.idle_ns(f.model.now_ns), time=True),
    "age": Number(lambda f: f.model.tasks.age_ns(f.model.now_ns), time=True),
    "polls": Number(lambda f: f.model.tasks.polls),
    "wakes": Number(lambda f: f.model.tasks.wakes),
    "id": Number(lambda f: f.model.tasks.id),
    "lint": Flag(_flagged),
}


def _muted(record: TaskRecord, role: str) -> str:
    return "faint" if record.done else role


def _time(record: TaskRecord, ns: int, role: str = "text") -> Cell:
    return Cell(duration(ns), "faint" if record.done or not ns else role)


def _max_poll(record: TaskRecord) -> Cell:
    ns = record.max_ns
    return _time(record, ns, "bad" if ns >= 10**8 else "warn" if ns >= 10**7 else "text")


def _place(record: TaskRecord) -> Cell:
    if not record.blocked_ns:
        return Cell(record.place or "?", _muted(record, "place"))
    return Cell(f"BLOCKING {duration(record.blocked_ns)}", "bad", "right")


def _name(record: TaskRecord) -> Cell:
    return Cell(("! " if record.flagged else "") + record.name, _muted(record, "name"))


COLUMNS: tuple[Column[TaskRecord], ...] = (
    Column("state", "S", 1, lambda r: Cell(*STATES[r.state]), state_codes),
    Column("word", "state", 9, lambda r: Cell(r.state, STATES[r.state][1]), leaves=10),
    Column("id", "id", 6, lambda r: Cell(str(r.id), "muted"), lambda f: f.model.tasks.id, align="right"),
    Column("name", "name", 10, _name, lambda f: _ranks(_names(f)), grow=3, most=40),
    Column(
        "kind",
        "kind",
        13,
        lambda r: Cell(r.kind, _muted(r, "kind")),
        lambda f: _ranks(_kinds_by(f, "kind")),
        grow=3,
        most=40,
    ),
    Column(
        "spawned",
        "spawned at",
        14,
        _place,
        lambda f: _ranks(_kinds_by(f, "spawned")),
        cut="left",
        grow=2,
        most=40,
    ),
    Column(
        "polls",
        "polls",
        7,
        lambda r: Cell(count(r.polls), _muted(r, "text")),
        lambda f: f.model.tasks.polls,
        align="right",
        descending=True,
    ),
    Column(
        "busy",
        "busy",
        7,
        lambda r: _time(r, r.busy_ns, "strong"),
        lambda f: f.model.tasks.busy_at(f.model.now_ns),
        align="right",
        descending=True,
    ),
    Column(
        "max",
        "max poll",
        9,
        _max_poll,
        lambda f: np.maximum(f.model.tasks.max_poll_ns, f.model.tasks.current_poll_ns(f.model.now_ns)),
        align="right",
        descending=True,
    ),
    Column(
        "sched",
        "sched",
        7,
        lambda r: _time(r, r.scheduled_ns),
        lambda f: f.model.tasks.scheduled_at(f.model.now_ns),
        align="right",
        descending=True,
        leaves=7,
    ),
    Column(
        "idle",
        "idle",
        7,
        lambda r: Cell(age_text(r.idle_ns), _muted(r, "muted")),
        lambda f: f.model.tasks.idle_ns(f.model.now_ns),
        align="right",
        descending=True,
        leaves=8,
    ),
    Column(
        "age",
        "age",
        7,
        lambda r: Cell(age_text(r.age_ns), _muted(r, "muted")),
        lambda f: f.model.tasks.age_ns(f.model.now_ns),
        align="right",
        descending=True,
        leaves=6,
    ),
    Column(
        "wakes",
        "wakes",
        7,
        lambda r: Cell(count(r.wakes), _muted(r, "muted")),
        lambda f: f.model.tasks.wakes,
        align="right",
        descending=True,
        leaves=9,
    ),
    Column("waker", "last waker", 12, lambda r: Cell(r.waker, _muted(r, "muted")), grow=1, most=32, leaves=5),
)


class Tasks(ListScreen[TaskRecord]):
    """The list of tasks."""

    KEYS_OF = "tasks"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("tasks")]

    rows: TaskRows

    def __init__(self) -> None:
        super().__init__(COLUMNS, TaskRows(), "busy", FIELDS)

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many there are, and what they are called."""
        return frame.model.tasks.rows, "tasks"

    def empty(self, frame: Frame) -> str:
        """What to say where there is no task at all."""
        return "No tasks yet: the program has not started any."

    def switches(self) -> list[str]:
        """The switches that hide rows."""
        hidden = ["finished hidden"] if self.rows.hide_finished else []
        return hidden + (["warnings only"] if self.rows.only_flagged else [])

    def action_finished(self) -> None:
        """Hide finished tasks, or show them."""
        self.rows.hide_finished = not self.rows.hide_finished
        self.repaint()

    def action_flagged(self) -> None:
        """Only tasks with warnings, or all."""
        self.rows.only_flagged = not self.rows.only_flagged
        self.repaint()

    def open_row(self, id: int) -> None:
        """The task's detail."""
        self.console.show_task(id)

    def name_of(self, frame: Frame, id: int) -> str:
        """The task's name."""
        row = frame.model.tasks.row(id)
        return "" if row is None else frame.model.tasks.name(row)

    def place_of(self, frame: Frame, id: int) -> Place | None:
        """See `task_place`."""
        return task_place(frame, id)

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """The task."""
        return task_json(frame, id)
