"""Screen 3: what blocked the loop, by line: the user's line that was running, and why it took so long."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from asynctop_console.model.limits import LARGEST
from asynctop_console.model.places import short, users_frame
from asynctop_console.model.stalls import place_of
from asynctop_console.model.times import duration
from asynctop_console.snapshot import Json, stall_json
from asynctop_console.views.cells import ago, count
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.editor import Place
from asynctop_console.views.filter import Coded, Fields, Number, Text, one_each
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.list import ListRows, ListScreen, Numbers, column
from asynctop_console.views.order import Ids
from asynctop_console.views.status import CAUSES
from asynctop_protocol.messages import Stall


@dataclass(slots=True)
class Group:
    """The stalls of one place."""

    id: int
    place: Hashable
    where: str
    """ "app.py:12", "" where nobody saw."""
    function: str
    cause: str
    kinds: dict[str, None] = field(default_factory=dict)
    """The tasks' kinds, or callbacks, in the order of their latest stalls."""
    stalls: list[Stall] = field(default_factory=list)
    total_ns: int = 0
    max_ns: int = 0
    last_ns: int = 0
    """How long ago the last one ended; 0 while one goes on."""
    ongoing_ns: int = 0
    """How long the one has lasted that goes on; 0 where none does."""

    @property
    def who(self) -> str:
        """ "handler", "handler +2": the latest one, and how many others."""
        *others, latest = self.kinds
        return f"{latest} +{len(others)}" if others else latest

    @property
    def everybody(self) -> str:
        """All of them."""
        return "\n".join(self.kinds)


def groups(frame: Frame, numbers: Numbers) -> list[Group]:
    """The stalls of a frame in groups, by ascending id."""
    found: dict[Hashable, Group] = {}
    for stall in frame.stalls:
        place = place_of(stall)
        group = found.get(place)
        if group is None:
            line = users_frame(stall.stack)
            group = found[place] = Group(
                id=numbers[place],
                place=place,
                where=short(*line[1:]) if line else "",
                function=line[0] if line else "",
                cause=CAUSES[stall.cause],
            )
        lasted = frame.lasted_ns(stall)
        kind = frame.model.kinds.label(stall.kind) if stall.kind else (stall.name or "callback")
        group.kinds.pop(kind, None)
        group.kinds[kind] = None
        group.stalls.append(stall)
        group.total_ns = min(group.total_ns + lasted, LARGEST)
        group.max_ns = max(group.max_ns, lasted)
        group.last_ns = 0 if stall.ongoing else max(frame.now_ns - stall.started_ns - lasted, 1)
        group.ongoing_ns = max(group.ongoing_ns, lasted if stall.ongoing else 0)
    for group in found.values():
        group.last_ns = 0 if group.ongoing_ns else group.last_ns
    return sorted(found.values(), key=lambda group: group.id)


class StallRows(ListRows[Group]):
    """Groups of stalls as rows."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = Numbers()
        self._of: Frame | None = None
        self._groups: list[Group] = []

    def groups(self, frame: Frame) -> list[Group]:
        """The groups of a frame, worked out once."""
        if frame is not self._of:
            self._of, self._groups = frame, groups(frame, self._numbers)
        return self._groups

    def ids(self, frame: Frame) -> Ids:
        """The groups' numbers."""
        return column(group.id for group in self.groups(frame))

    def bands(self, frame: Frame) -> NDArray[np.int8]:
        """Those going on stand first."""
        return np.array([-1 if group.ongoing_ns else 0 for group in self.groups(frame)], np.int8)

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[Group]:
        """These groups."""
        found = self.groups(frame)
        return [found[row] for row in rows.tolist()]

    def ground(self, record: Group) -> str:
        """Red while one goes on."""
        return "blocking" if record.ongoing_ns else "ground"


def _last(group: Group) -> Cell:
    if group.ongoing_ns:
        return Cell(f"BLOCKING {duration(group.ongoing_ns)}", "bad")
    return Cell(ago(group.last_ns), "muted")


class StallsScreen(ListScreen[Group]):
    """The list of places that blocked the loop."""

    KEYS_OF = "stalls"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("stalls")]

    rows: StallRows

    def __init__(self) -> None:
        rows = StallRows()
        of = rows.groups

        def texts(frame: Frame, name: str) -> Coded:
            return one_each([str(getattr(group, name)) for group in of(frame)])

        columns: tuple[Column[Group], ...] = (
            Column(
                "line",
                "line",
                20,
                lambda g: Cell(g.where or "(nobody saw)", "place"),
                lambda f: texts(f, "where").ranks(),
                cut="left",
                grow=3,
                most=48,
            ),
            Column(
                "function",
                "in",
                12,
                lambda g: Cell(g.function, "name"),
                lambda f: texts(f, "function").ranks(),
                grow=2,
                most=40,
                leaves=6,
            ),
            Column(
                "times",
                "times",
                5,
                lambda g: Cell(count(len(g.stalls)), "strong"),
                lambda f: column(len(g.stalls) for g in of(f)),
                "right",
                descending=True,
            ),
            Column(
                "total",
                "total",
                7,
                lambda g: Cell(duration(g.total_ns)),
                lambda f: column(g.total_ns for g in of(f)),
                "right",
                descending=True,
            ),
            Column(
                "max",
                "max",
                7,
                lambda g: Cell(duration(g.max_ns), "bad" if g.max_ns >= 10**9 else "warn"),
                lambda f: column(g.max_ns for g in of(f)),
                "right",
                descending=True,
            ),
            Column("last", "last", 15, _last, lambda f: column(g.last_ns for g in of(f))),
            Column(
                "cause",
                "cause",
                13,
                lambda g: Cell(g.cause, "warn"),
                lambda f: texts(f, "cause").ranks(),
                leaves=4,
            ),
            Column(
                "kind",
                "task kind",
                13,
                lambda g: Cell(g.who, "kind"),
                lambda f: texts(f, "who").ranks(),
                grow=2,
                most=40,
                leaves=5,
            ),
        )
        fields: Fields = {
            "line": Text(lambda f: texts(f, "where")),
            "in": Text(lambda f: texts(f, "function")),
            "kind": Text(lambda f: texts(f, "everybody")),
            "cause": Text(lambda f: texts(f, "cause")),
            "times": Number(lambda f: column(len(g.stalls) for g in of(f))),
            "max": Number(lambda f: column(g.max_ns for g in of(f)), time=True),
            "total": Number(lambda f: column(g.total_ns for g in of(f)), time=True),
        }
        super().__init__(columns, rows, "total", fields)

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many there are, and what they are called."""
        return len(self.rows.groups(frame)), "lines"

    def empty(self, frame: Frame) -> str:
        """What to say where nothing stalled."""
        return f"No stalls: no poll took longer than {duration(frame.threshold_ns)} so far."

    def open_row(self, id: int) -> None:
        """Its stacks."""
        for group in self.rows.groups(self.console.frame()):
            if group.id == id:
                self.console.show_stalls(group.place)

    def name_of(self, frame: Frame, id: int) -> str:
        """The line."""
        return next((group.where for group in self.rows.groups(frame) if group.id == id), "")

    def place_of(self, frame: Frame, id: int) -> Place | None:
        """The line, where somebody saw it."""
        found = [users_frame(g.stalls[-1].stack) for g in self.rows.groups(frame) if g.id == id]
        return found[0][1:] if found and found[0] else None

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """All stalls of the line."""
        found = [group.stalls for group in self.rows.groups(frame) if group.id == id]
        return {"stalls": [stall_json(frame.model, stall) for stall in found[0]]} if found else None
