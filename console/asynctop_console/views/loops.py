"""Screen 7: the event loops, what each runs now, and what the chosen one did in the last minutes."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType
from textual.widget import Widget

from asynctop_console.model.loops import Loop
from asynctop_console.model.past import OfLoop
from asynctop_console.model.times import duration
from asynctop_console.snapshot import Json, loop_json
from asynctop_console.views.cells import count
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.filter import Choice, Coded, Fields, Number, Text, one_each
from asynctop_console.views.frame import Frame
from asynctop_console.views.keys import bindings
from asynctop_console.views.lines import Lines, TextLine
from asynctop_console.views.list import ListRows, ListScreen, column
from asynctop_console.views.loop import STATES, plots_of, runs_now
from asynctop_console.views.order import Ids
from asynctop_console.views.plots import Plotted
from asynctop_protocol.messages import LoopState

_FEWEST_ROWS = 3


class LoopRecord(NamedTuple):
    """What the columns show of one loop."""

    loop: Loop
    runs: str
    """What it runs now, and since when where that is long."""
    busy: float | None
    """The share of the last second, 0..1."""
    polls: float
    """A second; NaN where it is not known, like those that follow."""
    lag_ns: int
    p99_ns: int
    max_ns: int
    turns: float
    live: float


class LoopRows(ListRows[LoopRecord]):
    """Loops as rows."""

    def __init__(self) -> None:
        super().__init__()
        self._of: Frame | None = None
        self._records: list[LoopRecord] = []

    def records(self, frame: Frame) -> list[LoopRecord]:
        """The loops of a frame, worked out once."""
        if frame is not self._of:
            self._of, self._records = frame, _records(frame)
        return self._records

    def ids(self, frame: Frame) -> Ids:
        """The loops' numbers."""
        return column(record.loop.id for record in self.records(frame))

    def bands(self, frame: Frame) -> NDArray[np.int8]:
        """Closed ones stand last."""
        return np.array([record.loop.state == LoopState.CLOSED for record in self.records(frame)], np.int8)

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[LoopRecord]:
        """These loops."""
        found = self.records(frame)
        return [found[row] for row in rows.tolist()]

    def ground(self, record: LoopRecord) -> str:
        """Red while it stands still."""
        return "blocking" if record.loop.state == LoopState.STALLED else "ground"


def _records(frame: Frame) -> list[LoopRecord]:
    model = frame.model
    lags, seconds = model.meters.lags(), model.past.loops.at(model.past.second)
    records = []
    for loop in sorted(model.loops, key=lambda loop: loop.id):
        measured = seconds.get(loop.id, [math.nan] * len(OfLoop))
        lag = lags.get(loop.id)
        records.append(
            LoopRecord(
                loop=loop,
                runs=runs_now(frame, loop),
                busy=model.meters.busy_ratio(loop.id),
                polls=measured[OfLoop.POLLS],
                lag_ns=loop.max_lag_ns,
                p99_ns=lag.p99_ns if lag else 0,
                max_ns=lag.max_ns if lag else 0,
                turns=measured[OfLoop.TURNS],
                live=measured[OfLoop.LIVE],
            )
        )
    return records


def _state(loop: Loop) -> Cell:
    glyph, word, role = STATES[loop.state]
    return Cell(f"{glyph} {word}", role)


def _share(ratio: float | None) -> Cell:
    if ratio is None:
        return Cell("-", "faint")
    return Cell(f"{ratio:.0%}", "bad" if ratio >= 0.95 else "warn" if ratio >= 0.7 else "strong")


def _number(number: float) -> Cell:
    return (
        Cell("-", "faint")
        if math.isnan(number)
        else Cell(count(round(number)), "text" if number else "faint")
    )


def _time(ns: int) -> Cell:
    return Cell(duration(ns), "bad" if ns >= 10**8 else "warn" if ns >= 10**7 else "text" if ns else "faint")


class LoopsScreen(Plotted, ListScreen[LoopRecord]):
    """The list of loops, and plots of the one that is chosen."""

    KEYS_OF = "loops"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("loops")]

    rows: LoopRows

    def __init__(self) -> None:
        rows = LoopRows()
        of = rows.records

        def texts(frame: Frame, name: str) -> Coded:
            return one_each([str(getattr(record.loop, name)) for record in of(frame)])

        def number(frame: Frame, name: str) -> NDArray[np.int64]:
            found = np.array([getattr(record, name) or 0 for record in of(frame)], np.float64)
            return (np.nan_to_num(found) * 1000).astype(np.int64)

        columns: tuple[Column[LoopRecord], ...] = (
            Column("id", "#", 3, lambda r: Cell(str(r.loop.id), "muted"), rows.ids, "right"),
            Column(
                "thread",
                "thread",
                11,
                lambda r: Cell(r.loop.thread, "name"),
                lambda f: texts(f, "thread").ranks(),
                grow=2,
                most=32,
            ),
            Column(
                "runtime",
                "runtime",
                8,
                lambda r: Cell(r.loop.runtime, "muted"),
                lambda f: texts(f, "runtime").ranks(),
                leaves=5,
            ),
            Column(
                "state", "state", 9, lambda r: _state(r.loop), lambda f: column(r.loop.state for r in of(f))
            ),
            Column("runs", "runs now", 12, lambda r: Cell(r.runs, "kind"), grow=3, most=48),
            Column(
                "busy",
                "busy",
                5,
                lambda r: _share(r.busy),
                lambda f: number(f, "busy"),
                "right",
                descending=True,
            ),
            Column(
                "polls",
                "polls/s",
                7,
                lambda r: _number(r.polls),
                lambda f: number(f, "polls"),
                "right",
                descending=True,
            ),
            Column(
                "turns",
                "turns/s",
                7,
                lambda r: _number(r.turns),
                lambda f: number(f, "turns"),
                "right",
                descending=True,
                leaves=4,
            ),
            Column(
                "live",
                "tasks",
                6,
                lambda r: _number(r.live),
                lambda f: number(f, "live"),
                "right",
                descending=True,
            ),
            Column(
                "lag",
                "lag",
                7,
                lambda r: _time(r.lag_ns),
                lambda f: column(r.lag_ns for r in of(f)),
                "right",
                descending=True,
            ),
            Column(
                "p99",
                "p99 lag",
                7,
                lambda r: _time(r.p99_ns),
                lambda f: column(r.p99_ns for r in of(f)),
                "right",
                descending=True,
                leaves=3,
            ),
            Column(
                "max",
                "max lag",
                7,
                lambda r: _time(r.max_ns),
                lambda f: column(r.max_ns for r in of(f)),
                "right",
                descending=True,
            ),
        )
        fields: Fields = {
            "thread": Text(lambda f: texts(f, "thread")),
            "runtime": Text(lambda f: texts(f, "runtime")),
            "runs": Text(lambda f: texts(f, "current")),
            "state": Choice(
                lambda f: one_each([STATES[r.loop.state][1] for r in of(f)]),
                tuple(word for _, word, _ in STATES.values()),
            ),
            "lag": Number(lambda f: column(r.lag_ns for r in of(f)), time=True),
            "max": Number(lambda f: column(r.max_ns for r in of(f)), time=True),
        }
        super().__init__(columns, rows, "id", fields)
        self._rows = _FEWEST_ROWS
        self.plots = Lines(self.palette)
        self.plots.can_focus = False

    def body(self) -> list[Widget]:
        """The table, and the plots below it."""
        return [self.table, self.plots]

    def paint(self, frame: Frame, reorder: bool = False) -> None:
        """Show this frame."""
        if not self.is_mounted:
            return
        # It only grows: what stands below it should not jump when loops come and go.
        self._rows = max(self._rows, min(len(self.rows.ids(frame)), self.app.size.height // 4))
        self.table.styles.height = self._rows + 1
        super().paint(frame, reorder)
        current = self.table.current
        lines: list[TextLine] = []
        if current is not None and frame.model.ticks:
            room = self.app.size.height - self._rows - 4 - self._banner.display
            lines = self.plot_lines(plots_of(frame), frame, frame.model.past.loops, current, room)
        self.plots.show(lines)

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many there are, and what they are called."""
        return len(frame.model.loops), "loops"

    def empty(self, frame: Frame) -> str:
        """What to say where there is none."""
        return "No event loop has run yet."

    def open_row(self, id: int) -> None:
        """Larger plots, and more about it."""
        self.console.show_loop(id)

    def name_of(self, frame: Frame, id: int) -> str:
        """Its thread."""
        loop = frame.model.loop(id)
        return loop.thread if loop else ""

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """The loop."""
        loop = frame.model.loop(id)
        return loop_json(frame.model, loop) if loop else None
