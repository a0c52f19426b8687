"""The virtual table every list is drawn on: it looks at the rows on the screen and at no others.

Two clocks drive it. `show(frame)` comes with every frame and redraws the visible lines whose cells changed;
the order is taken anew only once a second or on a key, and is held for a while after the cursor moved, so
that rows
do not jump away from under it. The cursor belongs to a row's id: it stays on its task wherever that goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter_ns
from typing import Generic, NamedTuple

import numpy as np
from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from asynctop_console.views.aside import Look
from asynctop_console.views.cells import differences, fit, strip_of
from asynctop_console.views.columns import Cell, Column, R, Rows, layout
from asynctop_console.views.frame import Frame
from asynctop_console.views.narrow import Plain
from asynctop_console.views.order import Ids, Order, ordering
from asynctop_console.views.theme import Palette

REORDER_NS = 1_000_000_000
"""How old an order may grow: reading a list whose rows move more often than once a second is no reading."""
HOLD_NS = 2_000_000_000
"""How long the order is held after the cursor moved."""
THRIFT = 20
"""An order taken by itself may cost this part of the time: by name, a million rows take seconds."""


_Line = tuple[str, bool, tuple[Cell, ...]]
"""Everything a line's looks depend on: its ground, whether it is marked, its cells."""


class _Taken(NamedTuple):
    """An order, and what was so when it was taken."""

    order: Order
    total: int
    urgent: Ids
    took_ns: int


class Table(Plain, ScrollView, Generic[R], can_focus=True, inherit_bindings=False):
    """A table of `columns` over the rows that `rows` describes; `show` it a frame whenever there is a new
    one."""

    DEFAULT_CSS = """
    Table { height: 1fr; overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }
    """

    class Opened(Message):
        """The user wants to see more of the row with this id."""

        def __init__(self, id: int) -> None:
            super().__init__()
            self.id = id

    def __init__(
        self,
        columns: tuple[Column[R], ...],
        rows: Rows[R],
        sort: str,
        palette: Callable[[], Palette],
        look: Look,
    ) -> None:
        """`sort` names the column of the default order; `palette` gives the theme's styles of the moment;
        for `look` see `Looks.look`."""
        super().__init__()
        self.columns = columns
        self.rows = rows
        self.palette = palette
        self._look = look
        self._default = sort
        self.sort = sort
        self.descending = self._column(sort).descending
        self.follow = False
        self.cursor: int | None = None
        """Id of the chosen row; None while the cursor rests on whatever is on top."""
        self.chosen: dict[str, bool] = {}
        """Columns that the user has chosen to be shown, or not."""
        self.marked: set[int] = set()
        """Ids of rows that the user has marked."""
        self.order = Order(np.empty(0, np.int64), np.empty(0, np.int64))
        self._frame: Frame | None = None
        self._now_ns = 0
        self._stale_ns = 0
        self._total = 0
        self._moved = False
        """Whether the cursor was moved since the last frame."""
        self._held_until_ns = 0
        self._ordering = False
        """Whether an order is being taken."""
        self._asked = False
        """Whether the user has asked for another one since that was begun."""
        self._revealing = False
        """Whether the cursor is to be seen in the next one."""
        self._position = 0
        self._layout: list[tuple[Column[R], int]] = []
        self._ids: list[int] = []
        self._urgent: Ids = np.empty(0, np.int64)
        self._lines: list[_Line | None] = []
        self._said: list[tuple[str, str]] = []
        self._dimmed = False

    # --- what is asked of it

    def show(self, frame: Frame, now_ns: int) -> None:
        """Draw this frame. `now_ns` is any steady clock; the order's age is measured by it."""
        self._frame, self._now_ns = frame, now_ns
        if self._moved:
            self._moved, self._held_until_ns = False, now_ns + HOLD_NS
        news = not np.array_equal(self.rows.urgent(frame), self._urgent)
        began = not self._total and len(self.rows.ids(frame)) > 0
        if not self._ordering and (began or (not self._held and (news or now_ns >= self._stale_ns))):
            self._begin_to_order(frame, asked=False)
        else:
            self._paint()

    def take_order(self) -> None:
        """Order the rows anew by the frame of the moment, whatever was held; very many as soon as may be."""
        if self._ordering:
            self._asked = True
        elif self._frame is not None:
            self._begin_to_order(self._frame, asked=True)

    def _begin_to_order(self, frame: Frame, asked: bool) -> None:
        self._ordering, self._asked = True, False
        self._look(partial(self._ordered, frame), partial(self._take, asked))

    def _ordered(self, frame: Frame) -> _Taken:
        """The order of the moment; with very many rows this runs in a thread."""
        began = perf_counter_ns()
        rows, ids = self.rows, self.rows.ids(frame)
        key = self._column(self.sort).sort
        keys = np.zeros(len(ids), np.int64) if key is None else key(frame)
        bands = rows.bands(frame) if self._in_default_order() else None
        keys = rows.arrange(frame, ordering(keys, self.descending, bands))
        wanted = rows.wanted(frame)
        order = Order(ids.copy(), keys) if wanted is None else Order(ids[wanted], keys[wanted])
        shown = order.position(self.cursor) if self.cursor is not None and self._seeks_cursor else None
        top = self.scroll_offset.y if shown is None else shown
        order.window(top, top + self.page)  # which is what will be asked for next
        return _Taken(order, len(ids), rows.urgent(frame), perf_counter_ns() - began)

    def _take(self, asked: bool, taken: _Taken) -> None:
        self._ordering = False
        if self._asked:
            self.take_order()
        elif asked or not self._held:
            self.order, self._total, self._urgent, took_ns = taken
            self._stale_ns = self._now_ns + max(REORDER_NS, THRIFT * took_ns)
            self._find_cursor()
            self._measure()
            if self._seeks_cursor and self.cursor is not None:
                self._reveal()
            self._revealing = False
            self._paint()

    @property
    def _held(self) -> bool:
        """Whether the rows stay where they are, as the cursor has just been moved."""
        return self._moved or self._now_ns < self._held_until_ns

    @property
    def _seeks_cursor(self) -> bool:
        """Whether the next order shows the row that the cursor is on."""
        return self.follow or self._revealing

    def sort_by(self, column: str) -> None:
        """Sort by a column, its own way round first; the other way where it is sorted by it already."""
        if column == self.sort:
            self.descending = not self.descending
        else:
            self.sort, self.descending = column, self._column(column).descending
        self._reordered_by_hand()

    def sort_beside(self, step: int) -> None:
        """Sort by the column left (-1) or right (1) of the present one, among those on the screen."""
        ids = [c.id for c, _ in self._layout if c.sort is not None]
        if ids:
            here = ids.index(self.sort) if self.sort in ids else 0
            self.sort_by(ids[(here + step) % len(ids)])

    def choose_columns(self, chosen: Mapping[str, bool]) -> None:
        """Show these columns, or not; the others as they are by themselves."""
        self.chosen = {id: shown for id, shown in chosen.items() if id in {c.id for c in self.columns}}
        self._lay_out()

    def shows(self, column: Column[R]) -> bool:
        """Whether this column is shown where there is room."""
        return self.chosen.get(column.id, not column.hidden)

    @property
    def sorted_unseen(self) -> str:
        """The title of the column that the rows stand by, where another order than usual does not show."""
        unseen = not self._in_default_order() and self.sort not in {c.id for c, _ in self._layout}
        return self._column(self.sort).title if unseen else ""

    def invert(self) -> None:
        """Turn the order round."""
        self.sort_by(self.sort)

    def move(self, step: int) -> None:
        """Move the cursor by so many rows."""
        here = self._position if self.cursor is not None else 0
        self.move_to(here + step)

    def move_to(self, position: int) -> None:
        """Put the cursor on the row at this position (cut to what there is)."""
        position = max(0, min(position, len(self.order) - 1))
        for id in self.order.window(position, position + 1).tolist():
            self.choose(id, position)

    def choose(self, id: int, position: int | None = None) -> None:
        """Put the cursor on the row with this id, where it is in the table."""
        position = self.order.position(id) if position is None else position
        if position is None:
            return
        self.cursor, self._position = id, position
        self._moved = True
        self._reveal()
        self._paint()

    def rest(self) -> bool:
        """Let go of the chosen row and go back to the top; False where nothing was chosen."""
        chosen = self.cursor is not None or self.scroll_offset.y > 0
        self.cursor, self._position, self._moved, self._held_until_ns = None, 0, False, 0
        self.scroll_to(y=0, animate=False)
        self._paint()
        return chosen

    def forget(self) -> None:
        """Let go of all rows that the user has chosen, marked or follows."""
        self.marked.clear()
        self.follow = False
        self.rest()

    @property
    def page(self) -> int:
        """How many rows are on the screen."""
        return max(1, self.size.height - 1)

    @property
    def current(self) -> int | None:
        """Id of the row that a key acts on: the chosen one, else the one on top."""
        if self.cursor is not None:
            return self.cursor
        return self.order.first

    def say(self, lines: list[tuple[str, str]]) -> None:
        """Show these lines (text, role) in the middle of the empty table."""
        if lines != self._said:
            self._said = lines
            self.refresh()

    def dim(self, dimmed: bool) -> None:
        """Draw everything faint, as what is shown may not be so any more."""
        if dimmed != self._dimmed:
            self._dimmed = dimmed
            self.refresh()

    # --- how it is drawn

    def _column(self, id: str) -> Column[R]:
        return next(c for c in self.columns if c.id == id)

    def _in_default_order(self) -> bool:
        return self.sort == self._default and self.descending == self._column(self.sort).descending

    def _find_cursor(self) -> None:
        """The cursor stays on its row; where that is gone, on the one that took its place."""
        if self.cursor is None:
            return
        position = self.order.position(self.cursor)
        if position is None:
            self._position = max(0, min(self._position, len(self.order) - 1))
            self.cursor = next(iter(self.order.window(self._position, self._position + 1).tolist()), None)
        else:
            self._position = position

    def _reordered_by_hand(self) -> None:
        self._moved, self._held_until_ns = False, 0
        if self.cursor is None:
            self.scroll_to(y=0, animate=False)
        self._revealing = True
        self.take_order()
        self.refresh(Region(0, 0, self.size.width, 1))

    def _measure(self) -> None:
        size = Size(self.size.width, len(self.order) + 1)
        if size != self.virtual_size:
            # The plain assignment would lay out the whole screen anew, each time a task begins or ends.
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
            if self.scroll_y > self.max_scroll_y:
                self.scroll_to(y=self.max_scroll_y, animate=False)

    def _reveal(self) -> None:
        top = self.scroll_offset.y
        if self._position < top:
            self.scroll_to(y=self._position, animate=False)
        elif self._position >= top + self.page:
            self.scroll_to(y=self._position - self.page + 1, animate=False)

    def _paint(self) -> None:
        """Compute the visible lines and have those drawn that differ from what is on the screen."""
        frame = self._frame
        if frame is None or not self._layout:
            return
        top = self.scroll_offset.y
        self._ids = self.order.window(top, top + self.page).tolist()
        all_ids = self.rows.ids(frame)
        found = np.searchsorted(all_ids, self._ids)
        there = [row < len(all_ids) and all_ids[row] == id for row, id in zip(found, self._ids, strict=True)]
        records = iter(self.rows.look(frame, found[there]))
        chosen = self.current
        lines: list[_Line | None] = []
        for id, known in zip(self._ids, there, strict=True):
            if known:
                record = next(records)
                cells = tuple([column.cell(record) for column, _ in self._layout])
                ground = self.rows.ground(record)
                if id == chosen:
                    resting = "resting" if self.cursor is None else "cursor"
                    ground = "blocking.cursor" if ground == "blocking" else resting
                lines.append((ground, id in self.marked, cells))
            else:
                lines.append(None)
        shown, self._lines = self._lines, lines
        whole = Region(0, 0, self.size.width, 1)
        changed: list[Region] = []
        for y in range(max(len(lines), len(shown))):
            both = y < len(lines) and y < len(shown)
            parts = self._parts(lines[y], shown[y]) if both else [whole]
            changed += [part.translate((0, y + 1)) for part in parts]
        if changed:
            self.refresh(*changed)

    def _parts(self, line: _Line | None, shown: _Line | None) -> list[Region]:
        """Where a line differs from what is on the screen: neighbouring cells together."""
        if line == shown:
            return []
        if line is None or shown is None or line[:-1] != shown[:-1]:
            return [Region(0, 0, self.size.width, 1)]
        sizes = [size + 1 for _, size in self._layout]
        sizes[-1] -= 1  # the blank is between each two
        return [Region(x, 0, end - x, 1) for x, end in differences(sizes, line[-1], shown[-1])]

    def render_line(self, y: int) -> Strip:
        """Line `y` of the screen: the header, a row, or nothing."""
        width = self.size.width
        if y == 0:
            return self._header(width)
        line = self._lines[y - 1] if y - 1 < len(self._lines) else None
        if line is None:
            return self._said_line(y, width)
        return self._row(line, 0, width)

    def part(self, y: int, left: int, right: int) -> Strip:
        """Of a row, only the cells asked for are drawn: mostly one or two have changed."""
        line = self._lines[y - 1] if 0 < y <= len(self._lines) else None
        return super().part(y, left, right) if line is None else self._row(line, left, right)

    def _row(self, line: _Line, left: int, right: int) -> Strip:
        ground, marked, cells = line
        palette = self.palette()
        segments: list[Segment] = []
        begin = end = drawn = 0
        for (column, size), cell in zip(self._layout, cells, strict=True):
            x, end = end, end + size + 1
            if end <= left or x >= right:
                continue
            if not segments:
                begin = x
            text = fit(cell.text, size, column.align, cell.cut or column.cut)
            role = "faint" if self._dimmed else cell.role
            if marked and not x:
                segments += [Segment(text, palette[role, ground]), Segment("*", palette["warn", ground])]
            else:
                segments.append(Segment(text + " ", palette[role, ground]))
            drawn = end
        strip = Strip(segments, drawn - begin)
        return strip.crop_extend(left - begin, right - begin, palette["text", ground])

    def _said_line(self, y: int, width: int) -> Strip:
        palette = self.palette()
        index = y - max(2, (self.size.height - len(self._said)) // 3)
        if len(self.order) or not 0 <= index < len(self._said):
            return Strip.blank(width, palette["text"])
        width -= self.scrollbar_size_vertical
        text, role = self._said[index]
        left = max(1, (width - max(len(line) for line, _ in self._said)) // 2)
        return strip_of([(" " * left + fit(text, width - left), palette[role])], width, palette["text"])

    def _header(self, width: int) -> Strip:
        palette = self.palette()
        pieces = []
        for column, size in self._layout:
            title, role, gap = column.title, "muted", " "
            if column.id == self.sort:
                mark, role = "▼" if self.descending else "▲", "title"
                if column.align == "right":
                    title = mark + title
                else:  # the mark may stand in the gap: one column is a single cell wide
                    title, size, gap = title + mark, size + 1, ""
            pieces.append((fit(title, size, column.align) + gap, palette[role, "header"]))
        return strip_of(pieces, width, palette["muted", "header"])

    # --- what happens to it

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling shows other rows of the same order."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._paint()

    def on_resize(self, event: events.Resize) -> None:
        """Another width: other columns."""
        self._lay_out()

    def _lay_out(self) -> None:
        shown = tuple(column for column in self.columns if self.shows(column))
        self._layout = layout(shown, self.scrollable_content_region.width)
        self._lines = []
        self._measure()
        self._paint()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """A click on a title sorts, on a row chooses it, a second one opens it."""
        if event.y == 0:
            left = 0
            for column, width in self._layout:
                if left <= event.x <= left + width and column.sort is not None:
                    self.sort_by(column.id)
                    return
                left += width + 1
        elif event.y <= len(self._ids):
            id = self._ids[event.y - 1]
            self.choose(id)
            if event.chain == 2:
                self.post_message(self.Opened(id))
