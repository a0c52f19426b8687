"""What a failed test says."""

from __future__ import annotations

import os
from traceback import FrameSummary, format_list

from asynctop_pytest.seen import Stall, Task

_MOST_TASKS = 20
"""Tasks that are listed one by one."""

_LONGEST_NAME = 200

_WHAT = {
    "blocking": "blocked the event loop",
    "cpu": "kept the event loop busy",
    "gil": "held up the event loop, and all threads, by C code that keeps the interpreter's lock,",
}


def blocked(stall: Stall, max_poll: float) -> str:
    """That a poll took too long, where, and the stack."""
    call = f" in {stall.callee}()" if stall.callee else ""
    took, most = (f"{1000 * seconds:,.0f} ms" for seconds in (stall.seconds, max_poll))
    in_ = _printable(stall.who)
    who = f"{_place(stall.file, stall.line)}{stall.function or in_}()"
    head = f"{who} {_WHAT[stall.cause]}{call} for {took}, {most} are allowed (in {in_})"
    frames = [FrameSummary(file, line, function) for function, file, line in stall.stack]
    return "\n".join([head, "".join(format_list(frames)).rstrip()])


def left_behind(tasks: list[Task]) -> str:
    """That tasks are alive, and where they were spawned."""
    lines = [
        f"{_place(task.file, task.line)}task {_printable(task.name)} of {task.kind}(), spawned here, "
        "was left behind"
        for task in tasks[:_MOST_TASKS]
    ]
    if len(tasks) > _MOST_TASKS:
        lines.append(f"and {len(tasks) - _MOST_TASKS:,} tasks more")
    return "\n".join([*lines, "Await what create_task() returns, cancel and await it, or use a TaskGroup."])


def _printable(name: str) -> str:
    """A name that somebody else may have chosen, in one line of at most some hundred characters."""
    name = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


def _place(file: str, line: int) -> str:
    """ "tests/test_shop.py:12: ", at the beginning, where pytest's summary does not cut it off."""
    if not file:
        return ""
    short = os.path.relpath(file)
    return f"{file if short.startswith(os.pardir) else short}:{line}: "
