"""Messages for the tests: one fixed sample of each, hypothesis strategies for all, and a comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

import asynctop_protocol as ap
from asynctop_protocol.codec import ENUM_COLUMNS, TYPES

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)
FRAMES = st.lists(st.tuples(TEXT, TEXT, INT64), max_size=4)
NUMBERS = st.dictionaries(TEXT, INT64, max_size=4)
WAITING = st.builds(ap.Waiting, TEXT, INT64, TEXT, INT64, NUMBERS)
HOLDING = st.builds(ap.Holding, TEXT, INT64, TEXT, INT64)
CHAIN = st.builds(
    ap.Chain,
    *(INT64, FRAMES, st.none() | WAITING, INT64, st.lists(INT64, max_size=3), st.booleans()),
    *(st.lists(HOLDING, max_size=2), INT64, st.booleans()),
)
RUNTIME_HELLO = ap.Hello(
    ap.Role.RUNTIME, pid=7, argv=["app.py"], python="3.13.0", runtime="asyncio", core="c"
)
CONSOLE_HELLO = ap.Hello(ap.Role.CONSOLE)


def plain(value: Any) -> Any:
    """A message as dicts and lists, whatever holds its columns."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"": type(value).__name__, **fields}
    if isinstance(value, str | int | None | dict):
        return value
    return [plain(item) for item in value]


def _strategy(kind: type[Any], name: str, annotation: str, rows: int) -> st.SearchStrategy[Any]:
    enum = ENUM_COLUMNS.get((kind, name))
    integers = st.sampled_from([int(value) for value in enum]) if enum else INT64
    in_rows = kind not in (ap.Hello, ap.Tick)
    size: dict[str, Any] = {"min_size": rows, "max_size": rows} if in_rows else {"max_size": 4}
    strategies: dict[str, st.SearchStrategy[Any]] = {
        "bool": st.booleans(),
        "int": INT64,
        "str": TEXT,
        "Role": st.sampled_from(ap.Role),
        "Cause": st.sampled_from(ap.Cause),
        "tuple[int, int]": st.tuples(INT64, INT64),
        "Column": st.lists(integers, **size),
        "list[Column]": st.lists(st.lists(INT64, max_size=5), **size),
        "list[str]": st.lists(TEXT, **size),
        "list[tuple[str, str, int]]": FRAMES,
        "dict[str, int]": NUMBERS,
        "list[Stall]": st.lists(st.deferred(lambda: record(ap.Stall)), max_size=3),
        "list[Part]": st.lists(st.builds(ap.Part, INT64, TEXT, INT64, FRAMES), max_size=3),
        "list[Incident]": st.lists(st.deferred(lambda: record(ap.Incident)), max_size=3),
        "list[Cancellation]": st.lists(st.deferred(lambda: record(ap.Cancellation)), max_size=3),
        "list[Chain]": st.lists(CHAIN, max_size=3),
    }
    return strategies[annotation]


def _with_rows(kind: type[Any], rows: int) -> st.SearchStrategy[Any]:
    fields = dataclasses.fields(kind)
    return st.builds(kind, **{f.name: _strategy(kind, f.name, str(f.type), rows) for f in fields})


def record(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any message or record of this type."""
    return st.integers(0, 4).flatmap(lambda rows: _with_rows(kind, rows))


MESSAGES: st.SearchStrategy[ap.Message] = st.sampled_from(list(TYPES.values())).flatmap(record)


def filled(kind: type[Any], column: Sequence[int], **others: Any) -> Any:
    """A message with the same integers in all of its columns."""
    columns = {field.name: column for field in dataclasses.fields(kind) if field.type == "Column"}
    return kind(**columns, **others)


_ROWS = [1, 2]
_FRAME = ("handler", "app.py", 12)
STALL = ap.Stall(4, 1, 1, "job", 1, 10, 20, True, ap.Cause.CPU, 3, [_FRAME], "time.sleep", "handler", 7)
STALLS = ap.Stalls([dataclasses.replace(STALL, last=True, parts=[ap.Part(3, "time.sleep", 1, [_FRAME])])])
CHAINS = ap.Chains(1, [ap.Chain(1, [_FRAME], ap.Waiting("lock", 9, "Lock", 2)), ap.Chain(2, [])], True)
SAMPLES: list[ap.Message] = [
    CONSOLE_HELLO,
    ap.Problem("wrong token"),
    ap.Subscribe(250_000_000),
    ap.Inspect(1, _ROWS),
    ap.Reset(),
    ap.Texts(1, ["main", "app.py"]),
    filled(ap.Kinds, _ROWS, first=1),
    filled(ap.Spawned, _ROWS),
    ap.Named(_ROWS, ["Task-1", "Task-2"]),
    filled(ap.Polled, _ROWS),
    filled(ap.Ended, _ROWS),
    filled(ap.Totals, _ROWS, histograms=[[0, 5], []]),
    filled(ap.Loops, [1], thread=["MainThread"], runtime=["asyncio"], current=["Task-1"]),
    STALLS,
    CHAINS,
    ap.Tick(5, {"wakes": 3}, ["trio: off"]),
    ap.Incidents([ap.Incident(1, "coroutine-never-awaited", 0, 0, 1, "save", 9, 2, "", [_FRAME])]),
    ap.Watch(_ROWS),
    filled(ap.History, _ROWS),
    filled(ap.Histograms, _ROWS, polls=[[0, 5], []], scheduled=[[1], [2, 3]]),
    ap.Cancellations([ap.Cancellation(1, 2, _ROWS, 3, 4, 1, 7, "", [_FRAME], [_FRAME], [_FRAME])]),
    ap.Trace(after=70_000),
]
