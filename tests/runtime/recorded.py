"""What a console would know: the messages of one cursor, folded into plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from asynctop.core import Core
from asynctop_protocol import (
    Connection,
    Ended,
    Hello,
    Histograms,
    History,
    Kinds,
    Loops,
    Message,
    Named,
    Polled,
    Reset,
    Role,
    Spawned,
    Texts,
    Tick,
    Totals,
)


@dataclass(slots=True)
class Row:
    """A task, a kind's sums or a loop: its columns by name."""

    values: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


class Recorded:
    """One console's knowledge. `update()` drains the core first."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._cursor = core.cursor()
        self._connection = Connection(Role.CONSOLE)
        self._connection.receive(Connection(Role.RUNTIME).send(Hello(Role.RUNTIME)))
        self.texts = [""]
        self.kinds: dict[int, dict[str, Any]] = {}
        self.by_id: dict[int, Row] = {}
        self.totals: dict[int, Row] = {}
        self.loops: list[Row] = []
        self.history: dict[int, list[Row]] = {}
        self.traced: dict[int, Row] = {}
        """The polls of a trace, by number."""
        self.histograms: dict[int, Row] = {}
        self.dropped: dict[str, int] = {}

    def watch(self, *tasks: int) -> None:
        """Watch these tasks from now on, and no other ones."""
        self._cursor.watch(tasks)

    def trace(self, after: int | None = 0) -> None:
        """Trace from now on; None: no more."""
        self._cursor.trace(after)

    def update(self, *, drain: bool = True, last: bool = True) -> list[str]:
        """Take the next batch; returns the names of its messages."""
        if drain:
            self._core.drain()
        frames = self._cursor.frames(last=last)
        batch = [message for frame in frames for message in self._connection.receive(frame)]
        for message in batch:
            self._fold(message)
        return [type(message).__name__ for message in batch]

    def task(self, name: str) -> Row:
        """The one task of this name."""
        (found,) = [row for row in self.by_id.values() if row.name == name]
        return found

    def kind(self, name: str) -> Row:
        """The sums of the one kind whose coroutine function's name ends like this."""
        (number,) = [number for number, kind in self.kinds.items() if kind["name"].endswith(name)]
        return self.totals[number]

    def site(self, name: str) -> tuple[str, int]:
        """Where the task of this name was spawned: file and line."""
        kind = self.kinds[self.task(name).kind]
        return kind["spawned_file"], kind["spawned_line"]

    def _fold(self, message: Message) -> None:
        match message:
            case Reset():
                self.by_id.clear()
            case Texts():
                assert message.first == len(self.texts), "texts are numbered in order, and sent once"
                self.texts += message.texts
            case Kinds():
                for number, row in enumerate(_rows(message, skip="first"), message.first):
                    assert number not in self.kinds, "kinds are sent once"
                    for text in ("name", "defined_file", "spawned_file"):
                        row[text] = self.texts[row[text]]
                    self.kinds[number] = row
            case Spawned():
                for row in _rows(message):
                    assert row["id"] not in self.by_id, "a task is spawned once"
                    self.by_id[row["id"]] = Row(row)
            case Named():
                for task, name in zip(message.id, message.names, strict=True):
                    self.by_id[task].values["name"] = name
            case Polled():
                for row in _rows(message):
                    row["waker_name"] = self.texts[row["waker_name"]]
                    self.by_id[row["id"]].values.update(row)
            case Ended():
                for row in _rows(message):
                    row["exception"] = self.texts[row["exception"]]
                    self.by_id[row["id"]].values.update(row)
            case Totals():
                for row in _rows(message):
                    self.totals[row["kind"]] = Row(row)
            case Loops():
                self.loops = [Row(row) for row in _rows(message)]
            case History():
                for number, row in enumerate(_rows(message, skip="first"), message.first):
                    row["waker_name"] = self.texts[row["waker_name"]]
                    if not message.first:
                        row["yielded_file"] = self.texts[row["yielded_file"]]
                    self.history.setdefault(row["task"], []).append(Row(row))
                    if message.first:
                        self.traced[number] = Row(row)
            case Histograms():
                for row in _rows(message):
                    self.histograms[row["task"]] = Row(row)
            case Tick():
                self.dropped = message.dropped
            case _:
                raise AssertionError(f"not a core's message: {message}")


def _rows(message: Any, skip: str = "") -> list[dict[str, Any]]:
    columns = {field.name: getattr(message, field.name) for field in fields(message) if field.name != skip}
    told = {name: column for name, column in columns.items() if len(column)}
    return [dict(zip(told, row, strict=True)) for row in zip(*told.values(), strict=True)]
