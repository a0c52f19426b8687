"""The snapshot of a recording's end: as JSON, or one of its tables as CSV, a line for each row.

The columns' names are those of the JSON, with a dot between those of an object and of what is in it.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from typing import Any, TextIO

from asynctop_console.lints import Rule
from asynctop_console.observe import moments
from asynctop_console.snapshot import Json, snapshot
from asynctop_console.source.recording import Recording

COLUMNS = {
    "tasks": (
        *("id", "name", "kind", "state", "outcome", "exception", "loop", "parent", "spawned_at"),
        *("created_ns", "ended_ns", "polls", "busy_ns", "scheduled_ns", "idle_ns", "max_poll_ns"),
        *(
            "current_poll_ns",
            "wakes",
            "self_wakes",
            "last_waker.source",
            "last_waker.task",
            "last_waker.name",
        ),
        *("await_chain", "waiting_on.type", "waiting_on.id", "waiting_on.description", "waiting_on.holder"),
        "lints",
    ),
    "kinds": (
        *("kind", "defined_at", "spawned_at", "spawned", "live", "returned", "raised", "cancelled"),
        *("destroyed", "polls", "busy_ns", "scheduled_ns", "max_poll_ns", "poll_p50_ns", "poll_p99_ns"),
    ),
    "loops": (
        *(
            "id",
            "thread",
            "runtime",
            "state",
            "tasks",
            "polls",
            "callbacks",
            "turns",
            "busy_ns",
            "busy_ratio",
        ),
        *("max_lag_ns", "max_turn_ns", "timers", "timers_fired"),
    ),
    "stalls": (
        *("task", "name", "kind", "loop", "started_ns", "duration_ns", "ongoing", "cause", "samples"),
        *("callee", "coroutine", "poll", "last", "stack"),
    ),
    "lints": (
        *("lint", "severity", "subject.type", "subject.id", "subject.name", "message"),
        *("place.function", "place.file", "place.line"),
    ),
}
"""Of each table that there is as CSV."""

_FORMULA = ("=", "+", "-", "@")
"""A spreadsheet computes what begins with these."""


def export_json(recording: Recording, out: TextIO, rules: tuple[Rule, ...]) -> str:
    """Write the snapshot; see `asynctop_console.snapshot`. TargetError where the recording is damaged."""
    json.dump(_last(recording, rules), out)
    out.write("\n")
    return ""


def export_csv(recording: Recording, out: TextIO, rules: tuple[Rule, ...], table: str) -> str:
    """Write one of the tables in `COLUMNS`. TargetError where the recording is damaged."""
    rows = _last(recording, rules)[table]
    writer = csv.writer(out)
    writer.writerow(COLUMNS[table])
    for row in rows:
        writer.writerow([_cell(_at(row, name)) for name in COLUMNS[table]])
    return ""


def _last(recording: Recording, rules: tuple[Rule, ...]) -> Json:
    """The snapshot after the last batch, with everything that the batches before have told."""
    (model,) = deque(moments(recording), maxlen=1)
    return snapshot(model, rules)


def _at(row: Json, name: str) -> Any:
    value: Any = row
    for part in name.split("."):
        value = value and value[part]
    return value


def _cell(value: Any) -> str | int | float | None:
    match value:
        case str():
            return f"'{value}" if value.startswith(_FORMULA) else value
        case list():
            return _cell(" > ".join(map(_frame, value)))
        case bool():
            return str(value).lower()
        case _:
            number: int | float | None = value
            return number


def _frame(value: str | Json) -> str:
    """What stands in a list: a frame, or a lint's name."""
    return value if isinstance(value, str) else f"{value['function']}() at {value['file']}:{value['line']}"
