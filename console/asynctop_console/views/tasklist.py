"""Screen 1: every task, the blocking ones on top, then the live ones, then those that ended."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from asynctop_console.model.times import duration
from asynctop_console.snapshot import Json
from asynctop_console.views.cells import age_text, count
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.editor import Place
from asynctop_console.views.filter import Choice, Coded, Fields, Flag, Mask, Number, Numbered, Text, Who
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.list import ListScreen
from asynctop_console.views.tasks import (
    STATES,
    TaskRecord,
    TaskRows,
    flagged,
    state_codes,
    task_json,
    task_place,
)
from asynctop_protocol.messages import WakerSource

_WORDS = list(STATES)


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


def fields(rows: TaskRows) -> Fields:
    """What tasks can be filtered by."""
    return {
        "state": Choice(lambda f: Coded(state_codes(f), _WORDS), tuple(_WORDS)),
        "kind": Numbered(lambda f: _kinds_by(f, "kind"), letter="K", numbers=lambda f: f.model.tasks.kind),
        "name": Text(lambda f: f.model.tasks.haystack),
        "spawned": Text(lambda f: _kinds_by(f, "spawned")),
        "parent": Who(
            "T", lambda f: f.model.tasks.parent, lambda f, word: _of_tasks(f, f.model.tasks.parent, word)
        ),
        "waker": Who("T", lambda f: f.model.tasks.waker_task, _wakers),
        "loop": Who("", lambda f: f.model.tasks.loop, _loops),
        "busy": Number(rows.busy_ns, time=True),
        "max": Number(lambda f: f.model.tasks.max_poll_at(f.model.now_ns), time=True),
        "sched": Number(rows.scheduled_ns, time=True),
        "idle": Number(rows.idle_ns, time=True),
        "age": Number(lambda f: f.model.tasks.age_ns(f.model.now_ns), time=True),
        "polls": Number(rows.polls),
        "wakes": Number(rows.wakes),
        "id": Number(lambda f: f.model.tasks.id),
        "lint": Flag(flagged),
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
    return Cell(record.branch + ("! " if record.flagged else "") + record.name, _muted(record, "name"))


def columns(rows: TaskRows) -> tuple[Column[TaskRecord], ...]:
    """The columns of the list."""
    return (
        Column("state", "S", 1, lambda r: Cell(*STATES[r.state]), state_codes),
        Column("word", "state", 9, lambda r: Cell(r.state, STATES[r.state][1]), leaves=10),
        Column("id", "id", 6, lambda r: Cell(str(r.id), "muted"), lambda f: f.model.tasks.id, align="right"),
        Column("name", "name", 10, _name, lambda f: f.model.tasks.haystack.ranks(), grow=3, most=40),
        Column(
            "kind",
            "kind",
            13,
            lambda r: Cell(r.kind, _muted(r, "kind")),
            lambda f: _kinds_by(f, "kind").ranks(),
            grow=3,
            most=40,
        ),
        Column(
            "spawned",
            "spawned at",
            14,
            _place,
            lambda f: _kinds_by(f, "spawned").ranks(),
            cut="left",
            grow=2,
            most=40,
        ),
        Column(
            "polls",
            "polls",
            7,
            lambda r: Cell(count(r.polls), _muted(r, "text")),
            rows.polls,
            align="right",
            descending=True,
        ),
        Column(
            "busy",
            "busy",
            7,
            lambda r: _time(r, r.busy_ns, "strong"),
            rows.busy_ns,
            align="right",
            descending=True,
        ),
        Column(
            "max",
            "max poll",
            9,
            _max_poll,
            lambda f: f.model.tasks.max_poll_at(f.model.now_ns),
            align="right",
            descending=True,
        ),
        Column(
            "sched",
            "sched",
            7,
            lambda r: _time(r, r.scheduled_ns),
            rows.scheduled_ns,
            align="right",
            descending=True,
            leaves=7,
        ),
        Column(
            "idle",
            "idle",
            7,
            lambda r: Cell(age_text(r.idle_ns), _muted(r, "muted")),
            rows.idle_ns,
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
            rows.wakes,
            align="right",
            descending=True,
            leaves=9,
        ),
        Column(
            "waker", "last waker", 12, lambda r: Cell(r.waker, _muted(r, "muted")), grow=1, most=32, leaves=5
        ),
        Column(
            "self",
            "by itself",
            9,
            lambda r: Cell(count(r.self_wakes), _muted(r, "muted")),
            rows.self_wakes,
            align="right",
            descending=True,
            leaves=9,
            hidden=True,
        ),
        Column(
            "parent",
            "parent",
            12,
            lambda r: Cell(r.parent or "-", _muted(r, "name" if r.parent else "faint")),
            lambda f: f.model.tasks.parent,
            grow=1,
            most=32,
            leaves=4,
            hidden=True,
        ),
        Column(
            "loop",
            "loop",
            4,
            lambda r: Cell(str(r.loop), _muted(r, "muted")),
            lambda f: f.model.tasks.loop.astype(np.int64),
            align="right",
            leaves=3,
            hidden=True,
        ),
    )


class Tasks(ListScreen[TaskRecord]):
    """The list of tasks."""

    KEYS_OF = "tasks"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("tasks")]

    rows: TaskRows

    def __init__(self) -> None:
        rows = TaskRows()
        super().__init__(columns(rows), rows, "busy", fields(rows))

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

    def figures(self, frame: Frame) -> list[str]:
        """How the rows stand, and of what time figures are that are not those since the start."""
        model = frame.model
        lately = f"last {(model.now_ns - model.tasks.recent_since_ns) / 1e9:.1f} s"
        return ["tree"] * self.rows.tree + [lately] * self.rows.recent

    def action_finished(self) -> None:
        """Hide finished tasks, or show them."""
        self.rows.hide_finished = not self.rows.hide_finished
        self.repaint()

    def action_flagged(self) -> None:
        """Only tasks with warnings, or all."""
        self.rows.only_flagged = not self.rows.only_flagged
        self.repaint()

    def action_recent(self) -> None:
        """Figures of the last five seconds, or since the start."""
        self.rows.recent = not self.rows.recent
        self.repaint()

    def action_by_parent(self) -> None:
        """Each task below the one that spawned it, or all alike."""
        self.rows.tree = not self.rows.tree
        self.repaint()

    def action_fold(self, step: int) -> None:
        """Unfold what the chosen task spawned (1), or fold it away (-1), else go to the task above."""
        current = self.table.current
        if current is None or not self._is_tree():
            return
        if self.rows.fold(current, step < 0):
            self.table.choose(current)
            self.repaint()
        elif step < 0 and (above := self.rows.parent_of(current)) is not None:
            self.table.choose(above)

    def action_fold_all(self) -> None:
        """Fold everything, or unfold it."""
        if self._is_tree():
            self.rows.folded.turn()
            self.repaint()

    def _is_tree(self) -> bool:
        """Whether there is a tree to fold; where there is none, what makes one is said."""
        if not self.rows.tree:
            self.say(f"{self.console.keymap.named('by-parent')} makes it a tree")
        return self.rows.tree

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
