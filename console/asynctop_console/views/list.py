"""What the screens that are lists share: filter, search, sorting, moving, and what is said where there is
no row."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from functools import partial
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from textual import events
from textual.widget import Widget

from asynctop_console.snapshot import Json
from asynctop_console.views.aside import Found
from asynctop_console.views.ask import Ask
from asynctop_console.views.columns import Column, Rows
from asynctop_console.views.editor import Place
from asynctop_console.views.filter import NOTHING, Fields, FilterError, Flag, Mask, parse
from asynctop_console.views.frame import Frame, Phase
from asynctop_console.views.line import Line
from asynctop_console.views.order import Ids
from asynctop_console.views.picker import ColumnPicker, SortPicker
from asynctop_console.views.status import welcome
from asynctop_console.views.table import Table
from asynctop_console.views.view import View

R = TypeVar("R")


class ListRows(Rows[R]):
    """Rows of a list that can be filtered."""

    vast: ClassVar[bool] = False
    """Whether there may be so many that they are ordered in a thread: then whatever is asked of them for that
    only reads the model."""

    def __init__(self) -> None:
        self.filter = NOTHING

    def wanted(self, frame: Frame) -> NDArray[np.bool_] | None:
        """What passes the filter."""
        return self.filter.mask(frame)

    def bands(self, frame: Frame) -> NDArray[np.int8] | None:
        """No row is worth more than another."""
        return None

    def urgent(self, frame: Frame) -> Ids:
        """Those that stand above all others."""
        ids, bands = self.ids(frame), self.bands(frame)
        return ids[:0] if bands is None else ids[bands < 0]

    def forget(self) -> None:
        """See `View.forget`."""

    def arrange(self, frame: Frame, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """As the column has it."""
        return keys


class Numbers:
    """Gives things that have no number one of their own, always the same one: a cursor belongs to it."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def __getitem__(self, key: Hashable) -> int:
        """The number of `key`; new ones count up from 1."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)


def column(values: Iterable[int]) -> NDArray[np.int64]:
    """A column of keys from the records of a short list."""
    return np.fromiter(values, np.int64)


class ListScreen(View, Generic[R]):
    """A table with all that its keys do. A subclass says what its rows are."""

    CSS = View.CSS

    def __init__(self, columns: tuple[Column[R], ...], rows: ListRows[R], sort: str, fields: Fields) -> None:
        super().__init__()
        self.rows = rows
        self.table: Table[R] = Table(columns, rows, sort, self.palette, self._look)
        self.fields = {**fields, "marked": Flag(self._marked)}
        self.searched = NOTHING
        """The last filter, which `n` and `N` look for once it hides nothing any more."""
        self._ask: Ask | None = None
        """The line in which a filter is being typed."""

    # What a subclass says

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many rows there are without any filter, and what they are called."""
        raise NotImplementedError

    def empty(self, frame: Frame) -> str:
        """What to say where there is no row at all."""
        raise NotImplementedError

    def open_row(self, id: int) -> None:
        """See more of a row."""

    def name_of(self, frame: Frame, id: int) -> str:
        """The name worth copying, "" where the row is gone."""
        raise NotImplementedError

    def place_of(self, frame: Frame, id: int) -> Place | None:
        """The line that a row is about, None where there is none."""
        return None

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """The row as the snapshot has it, None where it is gone."""
        raise NotImplementedError

    # Painting

    def _look(self, look: Callable[[], Found], then: Callable[[Found], None]) -> None:
        """See `Looks.look`."""
        rows = self.console.model.tasks.rows if self.rows.vast else 0
        self.console.looks.look(rows, look, then)

    def body(self) -> list[Widget]:
        """The table."""
        return [self.table]

    def on_mount(self) -> None:
        """Show the columns that were chosen some other time."""
        self.table.choose_columns(self.console.memory.columns.get(self.KEYS_OF, {}))

    def badges(self, frame: Frame) -> list[str]:
        """The filter and what it leaves."""
        badges = (
            [f"filter {self.rows.filter.text[:30]}  {self.shown(frame)}"] if self.rows.filter.terms else []
        )
        unseen = [f"by {self.table.sorted_unseen}"] if self.table.sorted_unseen else []
        marked = [f"{len(self.table.marked)} marked"] if self.table.marked else []
        following = ["following"] if self.table.follow else []
        return badges + self.switches() + self.figures(frame) + unseen + marked + following

    def switches(self) -> list[str]:
        """Other things that hide rows."""
        return []

    def figures(self, frame: Frame) -> list[str]:
        """Which figures are shown, where they are not the usual ones."""
        return []

    def shown(self, frame: Frame) -> str:
        """ "12 of 100"."""
        return f"{len(self.table.order)} of {self.total(frame)[0]}"

    def paint(self, frame: Frame, reorder: bool = False) -> None:
        """Show this frame."""
        if not self.is_mounted:
            return
        table = self.table
        table.dim(frame.link.phase in (Phase.RECONNECTING, Phase.REFUSED) and frame.model.ticks > 0)
        table.show(frame, self.console.clock_ns())
        if reorder:
            table.take_order()
        table.say(self._message(frame))
        if self._ask is not None and not self._ask.wrong:
            self._ask.hint(self.shown(frame))
        super().paint(frame)

    def _message(self, frame: Frame) -> list[tuple[str, str]]:
        total, what = self.total(frame)
        if not frame.model.ticks:
            return welcome(frame, self.app.size.width)
        if len(self.table.order):
            return []
        if not total:
            return [(self.empty(frame), "muted")]
        asked = " and ".join([self.rows.filter.text] * bool(self.rows.filter.terms) + self.switches())
        clears = f"{self.console.keymap.named('back')} clears the filter."
        return [(f"No match: 0 of {total} {what} pass  {asked}", "warn"), (clears, "muted")]

    # What keys do

    def action_back(self) -> None:
        """Clear the filter, else let go of the chosen row."""
        if self.rows.filter.terms:
            self.set_filter("")
        else:
            self.table.rest()
            self.repaint()

    async def action_filter(self) -> None:
        """Type a filter."""
        self.query_one("#footer", Line).display = False
        ask = Ask(self.rows.filter.text, self.palette)
        await self.mount(ask, before="#footer")
        self.set_focus(ask.input)
        self._ask = ask

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a filter is typed, `/` is a character of it."""
        return False if action == "filter" and self._ask else super().check_action(action, parameters)

    async def typed(self, event: events.Key | events.Paste) -> bool:
        """While a filter is typed, keys are for it, and the rows follow; Enter keeps it once it is right, Esc
        drops it."""
        ask = self._ask
        if ask is None:
            return False
        if isinstance(event, events.Key) and event.key in ("enter", "escape"):
            error = self.set_filter(ask.text if event.key == "enter" else "")
            if not error:
                self._ask = None
                self.query_one("#footer", Line).display = True
                self.set_focus(self.table)
                await ask.remove()
        elif await ask.typed(event):
            error = self.set_filter(ask.text)
            ask.hint(error or self.shown(self.console.frame()), bad=bool(error))
        else:
            return False
        return True

    def set_filter(self, text: str) -> str:
        """Filter the rows; returns what is wrong with the filter, "" where nothing is."""
        wanted, error = self.rows.filter, ""
        try:
            wanted = parse(text, self.fields)
        except FilterError as found:
            error = str(found)
            # What stands before the word being typed holds all the while, else the last that was right.
            with suppress(FilterError):
                wanted = parse(text.rpartition(" ")[0], self.fields)
        self.rows.filter = wanted
        self.searched = wanted if wanted.terms else self.searched
        self.repaint()
        return error

    def forget(self) -> None:
        """See `View.forget`: filters by words stay, those by numbers go."""
        self.table.forget()
        self.rows.forget()
        if self.rows.filter.by_number:
            self.rows.filter = NOTHING
        if self.searched.by_number:
            self.searched = NOTHING

    def action_match(self, step: int) -> None:
        """The next or previous row that the last filter matches."""
        if self.searched.terms:
            self._look(partial(self._neighbour, self.console.frame(), step), self._go_to)
        else:
            self.say(f"Nothing to look for yet: {self.console.keymap.named('filter')} begins a filter")

    def _neighbour(self, frame: Frame, step: int) -> int | None:
        mask, current = self.searched.mask(frame), self.table.current
        return self.table.order.neighbour(
            -1 if current is None else current, self.rows.ids(frame)[mask], step
        )

    def _go_to(self, found: int | None) -> None:
        if found is None:
            self.say(f"No row matches {self.searched.text}")
        else:
            self.table.choose(found)

    def action_follow(self) -> None:
        """Keep the chosen row in sight while it moves, or not."""
        self.table.follow = not self.table.follow
        if self.table.follow and self.table.cursor is None:
            self.table.move(0)
        self.repaint()

    def action_sort(self, column: str) -> None:
        """Sort by this column."""
        if self.table.sort != column:
            self.table.sort_by(column)

    def action_sort_beside(self, step: int) -> None:
        """Sort by the column beside."""
        self.table.sort_beside(step)

    def action_pick_sort(self) -> None:
        """Pick the column to sort by from a list."""
        self.app.push_screen(SortPicker(self.table))

    def action_columns(self) -> None:
        """Choose the columns."""
        self.app.push_screen(ColumnPicker(self.table, self.KEYS_OF))

    def action_invert(self) -> None:
        """The other way round."""
        self.table.invert()

    def action_move(self, step: int) -> None:
        """Up and down; at first to the row that is on top."""
        self.table.move(step)

    def action_page(self, step: int) -> None:
        """A page up or down."""
        self.table.move(step * self.table.page)

    def action_move_to(self, position: int) -> None:
        """To the first row (0) or the last (-1)."""
        self.table.move_to(position if position >= 0 else len(self.table.order) - 1)

    def action_open(self) -> None:
        """See more of the chosen row."""
        current = self.table.current
        if current is not None:
            self.open_row(current)

    def on_table_opened(self, message: Table.Opened) -> None:
        """A double click."""
        self.open_row(message.id)

    def action_copy(self) -> None:
        """Copy the row's name, by the terminal's own means (OSC 52)."""
        current = self.table.current
        name = "" if current is None else self.name_of(self.console.frame(), current)
        if name:
            self.app.copy_to_clipboard(name)
            self.say(f"Copied: {name[:60]}")

    def action_copy_row(self) -> None:
        """Copy the row as JSON, in ASCII alone."""
        current = self.table.current
        row = None if current is None else self.json_of(self.console.frame(), current)
        if row is not None:
            self.app.copy_to_clipboard(json.dumps(row))
            self.say(f"Copied as JSON: {self.name_of(self.console.frame(), current or 0)[:60]}")

    def place(self, frame: Frame) -> Place | None:
        """The line of the chosen row."""
        current = self.table.current
        return None if current is None else self.place_of(frame, current)

    def action_mark(self) -> None:
        """Mark the chosen row, or not any more."""
        current = self.table.current
        if current is not None:
            self.table.marked ^= {current}
            self.repaint()

    def _marked(self, frame: Frame) -> Mask:
        return np.isin(self.rows.ids(frame), list(self.table.marked))
