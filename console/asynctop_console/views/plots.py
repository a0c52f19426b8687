"""Plots of numbers over time: bars in a column for each few seconds, to the right of what they are called.

Scales are fixed, logarithmic, or go up to a round number, so that they hardly ever change. A gap, of which
nothing is known, is blank; a nought is a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from asynctop_console.model.columns import Ints
from asynctop_console.model.series import TIERS, Floats, Series
from asynctop_console.model.times import duration
from asynctop_console.views.cells import count
from asynctop_console.views.frame import Frame
from asynctop_console.views.line import Group, Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.page import heading
from asynctop_console.views.view import View

CELLS_S = (1, 2, 5, 10, 30, 60, 120, 600)
"""How many seconds a column may stand for."""

Texts: TypeAlias = npt.NDArray[np.str_]

KEPT_S = TIERS[-1].seconds * TIERS[-1].kept
"""How far back one can go."""

_TITLE, _SCALE = 15, 7
LEFT = _TITLE + _SCALE + 2
"""Cells to the left of the bars."""
_FEWEST = 3
"""Lines of a plot."""
_BARS = np.array(list(" ▁▂▃▄▅▆▇█"))
_EIGHTHS = len(_BARS) - 1
_BEHIND = "▒"
"""What a cell is filled with behind the bar in front: not everybody has colours to tell them apart."""
_SHORTEST_NS, _LONGEST_NS = 10e3, 10e9
"""The scale of durations."""
_APART = 9
"""Cells from one time on the axis to the next, at least."""
_ROUND_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200)


@dataclass(frozen=True, slots=True)
class Unit:
    """How numbers are written, and how high they stand."""

    text: Callable[[float], str]
    top: Callable[[float], float]
    """The upper end of the scale, for the largest number there is."""
    bottom: float = 0
    middle: Callable[[float], float] = lambda top: top / 2
    height: Callable[[Floats, float], Floats] = lambda values, top: values / top
    """How high numbers stand, 0..1, on a scale up to that end."""
    warn: float = math.inf
    bad: float = math.inf
    """From which numbers on they are coloured as such."""


def _round_up(most: float) -> float:
    """The next of 10, 20, 50, 100 and so on."""
    decade = 10.0 ** math.floor(math.log10(max(most, 10)))
    return next(decade * step for step in (1, 2, 5, 10) if decade * step >= most * 0.999999)


def _decades(values: Floats, top: float) -> Floats:
    heights: Floats = np.log(np.maximum(values, _SHORTEST_NS) / _SHORTEST_NS) / math.log(top / _SHORTEST_NS)
    return heights


COUNTS = Unit(lambda number: count(round(number)), _round_up)
RATES = Unit(lambda rate: f"{rate:.1f}" if 0 < rate < 9.95 else count(round(rate)), _round_up)
SHARES = Unit(
    lambda share: f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}", lambda _: 1.0, warn=0.7, bad=0.95
)
TIMES = Unit(
    lambda ns: duration(round(ns)),
    lambda _: _LONGEST_NS,
    _SHORTEST_NS,
    lambda top: math.sqrt(_SHORTEST_NS * top),
    _decades,
    warn=10e6,
    bad=100e6,
)


@dataclass(frozen=True, slots=True)
class Plot:
    """What one plot shows: rows of a `Series.window`."""

    title: str
    unit: Unit
    of: int
    role: str
    front: int | None = None
    """What is drawn before it, of the same unit and never more."""
    names: tuple[str, str] = ("", "")
    """What they are called, where there are two."""


class Plotted(View):
    """A screen with plots, which show as much time as one likes, up to now or to a moment in the past."""

    _zoom = 0
    _at_s: int | None = None
    """The second that the cursor is on; None without one."""
    _until_s = 0
    """The last second shown, while there is a cursor."""
    _drawn_of: tuple[object, ...] = ()
    _drawn: list[TextLine]
    """What was drawn last, and what of."""

    def plot_lines(
        self, plots: tuple[Plot, ...], frame: Frame, series: Series, subject: int, height: int
    ) -> list[TextLine]:
        """Plots of what a series knows of a subject, as wide as the screen; see `plot_lines`."""
        now, seconds, cells = frame.model.past.second, self._seconds, self._cells
        until, cursor = now, None
        if self._at_s is not None:
            until = self._until_s
            cursor = cells - 1 - (until // seconds - self._at_s // seconds)
        of = (plots, series, subject, now, until, seconds, cells, height, cursor)
        if of != self._drawn_of:
            # Once a second, not at each painting.
            back = (now // seconds - until // seconds) * seconds
            values = series.window(subject, until, seconds, cells)
            self._drawn_of, self._drawn = of, plot_lines(plots, values, seconds, height, back, cursor)
        return self._drawn

    def plots_heading(self, frame: Frame) -> list[TextLine]:
        """What stands above plots that are longer than the screen: how long ago the cursor's moment was."""
        blank, title = heading("Over time")
        pieces = [*title.pieces, Piece(f"   {_span(self._seconds)} a column", "muted")]
        if self._at_s is not None:
            back = frame.model.past.second // self._seconds - self._at_s // self._seconds
            pieces.append(Piece(f"   ▲ {_ago(back, self._seconds)}", "accent"))
        return [blank, TextLine(tuple(pieces))]

    @property
    def _seconds(self) -> int:
        return CELLS_S[self._zoom]

    @property
    def _cells(self) -> int:
        return max(self.app.size.width - LEFT - 1, _APART)

    def on_resize(self) -> None:
        """Another width: more columns, or fewer."""
        self._go(self._at_s)

    def action_zoom(self, step: int) -> None:
        """Show more time (1) or less (-1)."""
        self._zoom = min(max(self._zoom + step, 0), len(CELLS_S) - 1)
        self._go(self._at_s)

    def action_moment(self, step: int) -> None:
        """The cursor to the next column (1) or the one before (-1); beyond the last there is none."""
        beyond = self.console.frame().model.past.second + self._seconds
        self._go((beyond if self._at_s is None else self._at_s) + step * self._seconds)

    def action_pan(self, step: int) -> None:
        """The same by half of what is shown."""
        self.action_moment(step * (self._cells // 2))

    def _go(self, at_s: int | None) -> None:
        now, shown = self.console.frame().model.past.second, self._cells * self._seconds
        until = now if self._at_s is None else self._until_s
        self._at_s = None if at_s is None or at_s > now else max(at_s, now - KEPT_S, 0)
        if self._at_s is not None and not until - shown + self._seconds < self._at_s <= until:
            until = min(self._at_s + shown // 2, now)
        self._until_s = until
        self.repaint()


def plot_lines(
    plots: tuple[Plot, ...],
    values: Floats,
    seconds: int,
    height: int,
    back: int = 0,
    cursor: int | None = None,
) -> list[TextLine]:
    """Plots one below the other in `height` lines, over a common time axis: as many of them, from the first,
    as can have three lines each. The last column of `values` is so many seconds back; figures are those of
    the column with the cursor, or of the last one."""
    room = max(height - 1, _FEWEST)
    shown = min(room // _FEWEST, len(plots))
    each, more = divmod(room, shown)
    lines = []
    for index, plot in enumerate(plots[:shown]):
        lines += _plot(plot, values, each + (index < more), cursor)
    return [*lines, _axis(values.shape[1], seconds, back, cursor)]


def _plot(plot: Plot, values: Floats, height: int, cursor: int | None) -> list[TextLine]:
    spaced = height > _FEWEST + 1
    rows = height - spaced
    unit, shown = plot.unit, values[plot.of]
    front = values[plot.front] if plot.front is not None else None
    known = shown[~np.isnan(shown)]
    top = unit.top(float(known.max(initial=0)))
    scale = {0: unit.text(top)}
    if unit.bottom:
        scale[rows - 1] = unit.text(unit.bottom)
    if rows > _FEWEST + 1:
        scale[(rows - 1) // 2] = unit.text(unit.middle(top))
    at = -1 if cursor is None else cursor
    figures = [(plot.names[0] or ("now" if cursor is None else "then"), float(shown[at]))]
    if front is not None:
        figures.insert(0, (plot.names[1], float(front[at])))
    figures.append(("peak", float(known.max(initial=0)) if len(known) else math.nan))
    heads: list[Group] = [(Piece(f" {plot.title:<{_TITLE - 1}}", "strong"),)]
    heads += [_figure(unit, name, number) for name, number in figures]
    heads += [(Piece(" " * _TITLE),)] * rows
    bars = _bars(plot, shown, front, top, rows, cursor)
    lines = []
    for row in range(rows):
        label = scale.get(row, "")
        edge = Piece(f"{label:>{_SCALE}} {'┤' if label else '│'}", "faint")
        lines.append(TextLine((*heads[row], edge, *bars[row])))
    return [*lines, *[TextLine()] * spaced]


def _figure(unit: Unit, name: str, number: float) -> tuple[Piece, ...]:
    text, role = ("-", "faint") if math.isnan(number) else (unit.text(number), _grade(unit, number, "text"))
    return Piece(f"  {name:<6}", "muted"), Piece(f"{text:>{_TITLE - 8}}", role)


def _bars(
    plot: Plot, shown: Floats, front: Floats | None, top: float, rows: int, cursor: int | None
) -> list[list[Piece]]:
    unit, usual = plot.unit, plot.role if front is None else "bar.behind"
    back = np.where(shown >= unit.bad, "bad", np.where(shown >= unit.warn, "warn", usual))
    fore = back if front is None else np.full(len(shown), plot.role)
    full = _eighths(unit, shown, top, rows)
    before = full if front is None else np.minimum(_eighths(unit, front, top, rows), full)
    lines = []
    for base in range(_EIGHTHS * (rows - 1), -1, -_EIGHTHS):
        high, low = np.clip(full - base, 0, _EIGHTHS), np.clip(before - base, 0, _EIGHTHS)
        covered = 2 * low >= high
        glyphs = np.where(~covered & (high == _EIGHTHS), _BEHIND, _BARS[high])
        roles = np.where(high, np.where(covered, fore, back), "text")
        if not base:  # What is nothing has a line to stand on, what is not known has none.
            nothing = (full == 0) & ~np.isnan(shown)
            glyphs, roles = np.where(nothing, _BARS[1], glyphs), np.where(nothing, "faint", roles)
        lines.append(_pieces(glyphs, roles, cursor))
    return lines


def _pieces(glyphs: Texts, roles: Texts, cursor: int | None) -> list[Piece]:
    """Neighbours of one role joined; the cell with the cursor stands alone."""
    begins = {0, *(np.flatnonzero(roles[1:] != roles[:-1]) + 1).tolist()}
    if cursor is not None:
        begins |= {cursor, cursor + 1}
    edges = [*sorted(begins - {len(glyphs)}), len(glyphs)]
    return [
        Piece("".join(glyphs[begin:end]), str(roles[begin]), ground="cursor" if begin == cursor else "")
        for begin, end in pairwise(edges)
    ]


def _eighths(unit: Unit, numbers: Floats, top: float, rows: int) -> Ints:
    """How many eighths of a cell each bar is high: at least one for what is not nothing."""
    numbers = np.nan_to_num(numbers)
    heights = np.clip(unit.height(numbers, top), 0, 1) * rows * _EIGHTHS
    return np.maximum(np.round(heights).astype(np.int64), numbers > 0)


def _grade(unit: Unit, number: float, usual: str) -> str:
    return "bad" if number >= unit.bad else "warn" if number >= unit.warn else usual


def _axis(cells: int, seconds: int, back: int, cursor: int | None) -> TextLine:
    """How long ago each column was, the last of which is so many seconds back."""
    step = next((each for each in _ROUND_S if each >= _APART * seconds), _ROUND_S[-1])
    first = back // step + 1
    text = ""
    for ago in reversed(range(first * step, back + cells * seconds + 1, step)):
        text = text.ljust(cells - (ago - back) // seconds) + f"└{_span(ago)}"
    if not back:
        text = text[: cells - _APART // 2].ljust(cells - 4) + "now┘"
    text = text[:cells].ljust(cells)
    if cursor is None:
        return TextLine((Piece(f" {_span(seconds)} a column".ljust(LEFT), "faint"), Piece(text, "faint")))
    then = _ago(back // seconds + cells - 1 - cursor, seconds)
    return TextLine(
        (
            Piece(f" {then}".ljust(LEFT), "accent"),
            Piece(text[:cursor], "faint"),
            Piece("▲", "accent"),
            Piece(text[cursor + 1 :], "faint"),
        )
    )


def _ago(columns: int, seconds: int) -> str:
    """How long ago a column was."""
    return f"{_span(columns * seconds)} ago" if columns else "now"


def _span(seconds: int) -> str:
    """Some seconds as 50s, 1m10s, 2m, 1h30m."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
