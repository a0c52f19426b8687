"""Screen 4: who awaits whom, as a tree, down to what holds everybody up."""

from __future__ import annotations

from time import perf_counter_ns
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from asynctop_console.model import Frame as StackFrame
from asynctop_console.model import Model, users_frame
from asynctop_console.model.places import short
from asynctop_console.snapshot import Json, resource_json
from asynctop_console.views.cells import age_text
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.editor import Place
from asynctop_console.views.filter import Coded, Fields, Text, one_each
from asynctop_console.views.forest import Forest, Numbering, Unfolded
from asynctop_console.views.frame import Frame
from asynctop_console.views.inspection import ALL
from asynctop_console.views.keys import bindings
from asynctop_console.views.links import attributes_text, named, waiting_text
from asynctop_console.views.list import ListRows, ListScreen
from asynctop_console.views.order import Ids
from asynctop_console.views.resources import ASKING
from asynctop_console.views.table import REORDER_NS, THRIFT
from asynctop_console.views.tasks import STATES, state_codes, task_json, task_place

_WORDS = list(STATES)

_DEEPEST = 8
"""Levels that are drawn by indenting; of deeper ones it is said how deep they are."""

RESOURCE = "resource"
"""In the place of a task's state."""


class TreeRecord(NamedTuple):
    """What the columns show of one row."""

    state: str
    branch: str
    """The lines that lead to it from the row above."""
    name: str
    again: bool
    since_ns: int | None
    """Since when it is in its state, None for a resource."""
    on: str
    function: str
    line: str
    certain: bool
    """Whether it has stayed where it was when it was read."""


class TreeRows(ListRows[TreeRecord]):
    """The rows of the tree. It is laid anew for each picture, when something is unfolded, and for the tasks
    that come and go meanwhile once a second, or as rarely as that is dear."""

    def __init__(self) -> None:
        super().__init__()
        self.unfolded = Unfolded()
        self._numbering = Numbering()
        self._forest: Forest | None = None
        self._stale_ns = 0

    def forest(self, frame: Frame) -> Forest:
        """The tree of the moment."""
        forest, now = self._forest, frame.now_ns
        if forest is None or forest.waits is not frame.model.waits or now >= self._stale_ns:
            began = perf_counter_ns()
            forest = self._forest = Forest(frame.model, self.unfolded, self._numbering)
            self._stale_ns = now + max(REORDER_NS, THRIFT * (perf_counter_ns() - began))
        return forest

    def unfold(self, task: int, unfolded: bool) -> None:
        """Unfold a task, or fold it up."""
        self.unfolded.but[task] = unfolded
        self._forest = None

    def unfold_all(self) -> None:
        """Unfold everything; where everything is, nothing."""
        self.unfolded = Unfolded(everything=not self.unfolded.everything)
        self._forest = None

    def forget(self) -> None:
        """See `View.forget`."""
        self.unfolded.but = {}
        self._forest = None

    def place(self, frame: Frame, id: int) -> int | None:
        """The position of the row with this id."""
        forest = self.forest(frame)
        index = int(np.searchsorted(forest.ids, id))
        there = index < len(forest.ids) and forest.ids[index] == id
        return int(forest.position[index]) if there else None

    def ids(self, frame: Frame) -> Ids:
        """The rows' ids."""
        return self.forest(frame).ids

    def wanted(self, frame: Frame) -> NDArray[np.bool_] | None:
        """What passes the filter, and what stands above it."""
        mask = super().wanted(frame)
        if mask is None:
            return None
        forest = self.forest(frame)
        found = set(forest.position[mask].tolist())
        for position in list(found):
            above = int(forest.parent[position])
            while above >= 0 and above not in found:
                found.add(above)
                above = int(forest.parent[above])
        return np.isin(forest.position, np.fromiter(found, np.int64, len(found)))

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[TreeRecord]:
        """The records of these rows."""
        forest = self.forest(frame)
        positions = forest.position[rows]
        places = frame.model.tasks.rows_of(forest.task[positions]).tolist()
        codes = state_codes(frame)
        return [
            self._resource(forest, position)
            if position in forest.resources
            else self._task(
                frame.model, forest, position, place, _WORDS[int(codes[place])] if place >= 0 else "done"
            )
            for position, place in zip(positions.tolist(), places, strict=True)
        ]

    def ground(self, record: TreeRecord) -> str:
        """Red while it blocks."""
        return "blocking" if record.state == "blocking" else "ground"

    def _resource(self, forest: Forest, position: int) -> TreeRecord:
        resource = forest.waits.resources[forest.resources[position]]
        return TreeRecord(
            state=RESOURCE,
            branch=_branch(forest, position) + ("- " if resource.holders else "  "),
            name=named(resource.type, resource.description),
            again=False,
            since_ns=None,
            on=attributes_text(resource.attributes) if resource.holders else "held by nobody we know",
            function="",
            line="",
            certain=True,
        )

    def _task(self, model: Model, forest: Forest, position: int, row: int, state: str) -> TreeRecord:
        task, again = int(forest.task[position]), position in forest.again
        sign = "↺ " if again else "  "
        if not again and forest.parent_of(task):
            sign = "- " if task in forest.unfolded else "+ "
        chain = model.chains.get(task)
        place: StackFrame | None = users_frame(chain.frames) if chain is not None else None
        since_ns = int(model.tasks.since_ns[row]) if row >= 0 else None
        return TreeRecord(
            state=state,
            branch=_branch(forest, position) + sign,
            name=model.task_name(task),
            again=again,
            since_ns=since_ns,
            on=waiting_text(chain.waiting_on) if chain is not None else "",
            function=place[0] if place else "",
            line=short(place[1], place[2]) if place else "",
            certain=since_ns is not None and since_ns <= forest.waits.at_ns,
        )


def _branch(forest: Forest, position: int) -> str:
    """ "│ └ ": the lines from the rows above to this one."""
    depth = int(forest.depth[position])
    if not depth:
        return ""
    drawn = ["└ " if forest.last[position] else "├ "]
    above = int(forest.parent[position])
    while len(drawn) < min(depth, _DEEPEST):
        drawn.append("  " if forest.last[above] else "│ ")
        above = int(forest.parent[above])
    return (f"{depth}… " if depth > _DEEPEST else "") + "".join(reversed(drawn))


def _names(frame: Frame, rows: TreeRows) -> Coded:
    forest, tasks = rows.forest(frame), frame.model.tasks
    texts = [""] * len(forest.ids)
    found = tasks.rows_of(forest.task[forest.position]).tolist()
    for index, (row, position) in enumerate(zip(found, forest.position.tolist(), strict=True)):
        if row >= 0:
            texts[index] = tasks.name(row)
        elif position in forest.resources:
            texts[index] = forest.waits.resources[forest.resources[position]].description
    return one_each(texts)


def _of_chains(frame: Frame, rows: TreeRows, what: str) -> Coded:
    forest = rows.forest(frame)
    texts = []
    for task in forest.task[forest.position].tolist():
        chain = frame.model.chains.get(task)
        if chain is None:
            texts.append("")
        elif what == "on":
            texts.append(waiting_text(chain.waiting_on))
        else:
            place = users_frame(chain.frames)
            texts.append(f"{place[1]}:{place[2]} {place[0]}" if place else "")
    return one_each(texts)


def _role(record: TreeRecord, role: str) -> str:
    return role if record.certain else "faint"


def _name(record: TreeRecord) -> Cell:
    role = "accent" if record.state == RESOURCE else "warn" if record.again else "name"
    return Cell(record.branch + record.name, role)


def _on(record: TreeRecord) -> Cell:
    return Cell("a ring: it is above", "warn") if record.again else Cell(record.on, _role(record, "text"))


class TreeScreen(ListScreen[TreeRecord]):
    """The tree."""

    KEYS_OF = "tree"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("tree")]

    rows: TreeRows

    def __init__(self) -> None:
        rows = TreeRows()
        states = STATES | {RESOURCE: ("◆", "accent")}

        def position(frame: Frame) -> NDArray[np.int64]:
            return rows.forest(frame).position

        def waited(record: TreeRecord) -> Cell:
            if record.since_ns is None or record.again:
                return Cell("")
            return Cell(age_text(max(self.console.frame().now_ns - record.since_ns, 0)), "text")

        columns: tuple[Column[TreeRecord], ...] = (
            # A tree has one order only. This column holds it: wider than any screen, it is never shown.
            Column("tree", "", 1 << 20, lambda r: Cell(""), position, leaves=99),
            Column("state", "S", 1, lambda r: Cell(*states[r.state])),
            Column("name", "task", 26, _name, grow=3, most=72),
            Column("word", "state", 9, lambda r: Cell(r.state, states[r.state][1]), leaves=10),
            Column("for", "for", 6, waited, align="right"),
            Column("on", "waits for", 19, _on, grow=2, most=48),
            Column("function", "in", 28, lambda r: Cell(r.function, _role(r, "kind")), leaves=9),
            Column("line", "at", 22, lambda r: Cell(r.line, _role(r, "place")), cut="left", grow=2, most=48),
        )
        fields: Fields = {
            "name": Text(lambda f: _names(f, rows)),
            "on": Text(lambda f: _of_chains(f, rows, "on")),
            "at": Text(lambda f: _of_chains(f, rows, "at")),
        }
        super().__init__(columns, rows, "tree", fields)

    def inspected(self) -> tuple[int, ...]:
        """Every task."""
        return ALL

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many rows there are, and what they are called."""
        return len(self.rows.ids(frame)), "rows"

    def empty(self, frame: Frame) -> str:
        """What to say before the first answer."""
        return ASKING if len(frame.model.tasks.live()) else "No tasks: nobody waits for anything."

    def open_row(self, id: int) -> None:
        """The task's detail, or the resource's."""
        forest, position = self.rows.forest(self.console.frame()), self._at(id)
        if position is None:
            return
        if position in forest.resources:
            self.console.show_resource(forest.resources[position])
        else:
            self.console.show_task(int(forest.task[position]))

    def name_of(self, frame: Frame, id: int) -> str:
        """The task's name, or the resource's description."""
        codes, texts = _names(frame, self.rows)
        index = np.flatnonzero(self.rows.ids(frame) == id)
        return texts[int(codes[index[0]])] if len(index) else ""

    def place_of(self, frame: Frame, id: int) -> Place | None:
        """The task's line."""
        task = self._task_of(frame, id)
        return task_place(frame, task) if task else None

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """The task, or the resource."""
        position, forest = self.rows.place(frame, id), self.rows.forest(frame)
        if position in forest.resources:
            return resource_json(forest.waits.resources[forest.resources[position]])
        task = self._task_of(frame, id)
        return task_json(frame, task) if task else None

    def _task_of(self, frame: Frame, id: int) -> int:
        """The task of a row, 0 where it has none."""
        position = self.rows.place(frame, id)
        return 0 if position is None else int(self.rows.forest(frame).task[position])

    def action_expand(self, step: int) -> None:
        """Unfold the chosen row (1), or go on to the first row below it; fold it up (-1), or go to the row
        above it."""
        current = self.table.current
        position = self._at(current)
        if current is None or position is None:
            return
        forest = self.rows.forest(self.console.frame())
        task = int(forest.task[position])
        is_parent = position not in forest.resources and position not in forest.again
        is_parent = is_parent and forest.parent_of(task)
        if is_parent and (task in forest.unfolded) != (step > 0):
            self.rows.unfold(task, step > 0)
            self.table.choose(current)
            self.repaint()
        elif step > 0 and position + 1 < len(forest.ids) and forest.parent[position + 1] == position:
            self.table.move(1)
        elif step < 0 and forest.parent[position] >= 0:
            (above,) = np.flatnonzero(forest.position == forest.parent[position])
            self.table.choose(int(forest.ids[above]))

    def action_expand_all(self) -> None:
        """Unfold everything, or fold everything up."""
        self.rows.unfold_all()
        self.repaint()

    def _at(self, id: int | None) -> int | None:
        return None if id is None else self.rows.place(self.console.frame(), id)
