"""Screen 2: tasks by what they are, with exact sums over all that were ever spawned."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from asynctop_console.model.kinds import quantiles_ns
from asynctop_console.model.places import short
from asynctop_console.model.times import duration
from asynctop_console.snapshot import Json, kinds_json
from asynctop_console.views.cells import count
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.editor import Place
from asynctop_console.views.filter import Coded, Fields, Number, Numbered, Text, one_each
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.list import ListRows, ListScreen
from asynctop_console.views.order import Ids


class KindRecord(NamedTuple):
    """What the columns show of one kind."""

    kind: int
    name: str
    defined: str
    spawned_at: str
    live: int
    spawned: int
    raised: int
    cancelled: int
    polls: int
    busy_ns: int
    scheduled_ns: int
    max_ns: int
    p50_ns: int | None
    p99_ns: int | None


class KindRows(ListRows[KindRecord]):
    """The kind table's rows as a list, without the one for tasks of no known kind where there are none."""

    def ids(self, frame: Frame) -> Ids:
        """Kind numbers."""
        return np.arange(frame.model.kinds.rows)

    def wanted(self, frame: Frame) -> NDArray[np.bool_] | None:
        """What passes the filter and has had tasks."""
        used = frame.model.kinds.spawned > 0
        mask = super().wanted(frame)
        return used if mask is None else used & mask

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[KindRecord]:
        """The records of these kinds."""
        kinds = frame.model.kinds
        live, busy, longest = kinds.live, _busy(frame), _longest(frame)
        return [
            KindRecord(
                kind=kind,
                name=kinds.label(kind),
                defined=short(*kinds.defined(kind)),
                spawned_at=short(*kinds.spawn(kind)),
                live=int(live[kind]),
                spawned=int(kinds.spawned[kind]),
                raised=int(kinds.raised[kind]),
                cancelled=int(kinds.cancelled[kind]),
                polls=int(kinds.polls[kind]),
                busy_ns=int(busy[kind]),
                scheduled_ns=int(kinds.scheduled_ns[kind]),
                max_ns=int(longest[kind]),
                p50_ns=kinds.quantile_ns(kind, 0.5),
                p99_ns=kinds.quantile_ns(kind, 0.99),
            )
            for kind in rows.tolist()
        ]

    def ground(self, record: KindRecord) -> str:
        """All alike."""
        return "ground"


def _texts(frame: Frame, of: str) -> Coded:
    kinds = frame.model.kinds
    place = kinds.defined_at if of == "defined" else kinds.spawned_at
    return one_each([kinds.label(k) if of == "kind" else place(k) or "" for k in range(kinds.rows)])


def _busy(frame: Frame) -> NDArray[np.int64]:
    return frame.model.kinds.busy_at(frame.model.now_ns, frame.model.tasks)


def _longest(frame: Frame) -> NDArray[np.int64]:
    return frame.model.kinds.max_poll_at(frame.model.now_ns, frame.model.tasks)


def _quantiles(frame: Frame, q: float) -> NDArray[np.int64]:
    kinds = frame.model.kinds
    found = np.nan_to_num(np.floor(quantiles_ns(kinds.histogram, q))).astype(np.int64)
    return np.minimum(found, kinds.max_poll_ns)


def _time(ns: int | None, role: str = "text") -> Cell:
    return Cell("-", "faint") if ns is None else Cell(duration(ns), role if ns else "faint")


def _number(number: int, role: str = "text") -> Cell:
    return Cell(count(number), role if number else "faint")


FIELDS: Fields = {
    "kind": Numbered(
        lambda f: _texts(f, "kind"), letter="K", numbers=lambda f: np.arange(f.model.kinds.rows)
    ),
    "spawned": Text(lambda f: _texts(f, "spawned")),
    "defined": Text(lambda f: _texts(f, "defined")),
    "live": Number(lambda f: f.model.kinds.live),
    "polls": Number(lambda f: f.model.kinds.polls),
    "busy": Number(_busy, time=True),
    "max": Number(_longest, time=True),
    "p99": Number(lambda f: _quantiles(f, 0.99), time=True),
}

COLUMNS: tuple[Column[KindRecord], ...] = (
    Column(
        "kind",
        "kind",
        18,
        lambda r: Cell(r.name, "kind"),
        lambda f: _texts(f, "kind").ranks(),
        grow=3,
        most=48,
    ),
    Column(
        "spawned",
        "spawned at",
        15,
        lambda r: Cell(r.spawned_at or "?", "place"),
        lambda f: _texts(f, "spawned").ranks(),
        cut="left",
        grow=2,
        most=40,
    ),
    Column(
        "live",
        "live",
        6,
        lambda r: _number(r.live, "strong"),
        lambda f: f.model.kinds.live,
        "right",
        descending=True,
    ),
    Column(
        "total",
        "spawned",
        8,
        lambda r: _number(r.spawned),
        lambda f: f.model.kinds.spawned,
        "right",
        descending=True,
    ),
    Column(
        "raised",
        "raised",
        7,
        lambda r: _number(r.raised, "bad"),
        lambda f: f.model.kinds.raised,
        "right",
        descending=True,
        leaves=5,
    ),
    Column(
        "cancelled",
        "cancel",
        7,
        lambda r: _number(r.cancelled),
        lambda f: f.model.kinds.cancelled,
        "right",
        descending=True,
        leaves=8,
    ),
    Column(
        "polls",
        "polls",
        7,
        lambda r: _number(r.polls),
        lambda f: f.model.kinds.polls,
        "right",
        descending=True,
    ),
    Column(
        "busy",
        "busy",
        7,
        lambda r: _time(r.busy_ns, "strong"),
        _busy,
        "right",
        descending=True,
    ),
    Column(
        "sched",
        "sched",
        7,
        lambda r: _time(r.scheduled_ns),
        lambda f: f.model.kinds.scheduled_ns,
        "right",
        descending=True,
        leaves=7,
    ),
    Column(
        "p50",
        "p50",
        7,
        lambda r: _time(r.p50_ns),
        lambda f: _quantiles(f, 0.5),
        "right",
        descending=True,
        leaves=6,
    ),
    Column(
        "p99",
        "p99",
        7,
        lambda r: _time(r.p99_ns),
        lambda f: _quantiles(f, 0.99),
        "right",
        descending=True,
        leaves=4,
    ),
    Column(
        "max",
        "max poll",
        9,
        lambda r: _time(r.max_ns, "bad" if r.max_ns >= 10**8 else "text"),
        _longest,
        "right",
        descending=True,
    ),
)


class KindsScreen(ListScreen[KindRecord]):
    """The list of kinds."""

    KEYS_OF = "kinds"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("kinds")]

    def __init__(self) -> None:
        super().__init__(COLUMNS, KindRows(), "busy", FIELDS)

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many there are, and what they are called."""
        return int(np.count_nonzero(frame.model.kinds.spawned)), "kinds"

    def empty(self, frame: Frame) -> str:
        """What to say where there is no kind at all."""
        return "No tasks yet, so no kinds of them."

    def open_row(self, id: int) -> None:
        """Its sums, and what it did in the last minutes."""
        self.console.show_kind(id)

    def name_of(self, frame: Frame, id: int) -> str:
        """The coroutine function."""
        return frame.model.kinds.label(id)

    def place_of(self, frame: Frame, id: int) -> Place | None:
        """Where it is defined."""
        file, line = frame.model.kinds.defined(id)
        return (file, line) if file else None

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """The kind."""
        return kinds_json(frame.model, [id])[0]
