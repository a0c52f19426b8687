"""Places in source code: which frame of a stack is the user's, and how to write it short.

The paths belong to another machine or container perhaps, so they are judged by their text alone.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from asynctop_console.clean import ELLIPSIS

Frame: TypeAlias = tuple[str, str, int]
"""(function, file, line)"""

_FOREIGN = re.compile(
    r"""
      ^<                                              # <frozen importlib._bootstrap>, <string>
    | (^|[/\\])(site|dist)-packages[/\\]
    | (^|[/\\])lib(64)?[/\\](python|pypy)\d+\.\d+t?[/\\]  # POSIX: lib/python3.13/asyncio/tasks.py
    | (^|[/\\])python\d+\.zip([/\\]|$)
    | [/\\]Lib[/\\](?!site-packages)                  # Windows: C:\Python313\Lib\asyncio\tasks.py
    | (^|[/\\])runtime[/\\]asynctop[/\\]               # asynctop itself, run from its sources
    """,
    re.VERBOSE,
)


def is_users(frame: Frame) -> bool:
    """Whether the frame is outside the standard library and the installed packages."""
    return not _FOREIGN.search(frame[1])


def users_frame(stack: list[Frame]) -> Frame | None:
    """The innermost frame of the user's own code, else the innermost of all; None for no frames.

    `stack` has its outermost frame first.
    """
    if not stack:
        return None
    return next((frame for frame in reversed(stack) if is_users(frame)), stack[-1])


def short(file: str, line: int, width: int = 40) -> str:
    """`dir/file.py:12`, at most `width` columns of it, cut on the left; "" for an unknown file."""
    if not file:
        return ""
    place = "/".join(re.split(r"[/\\]", file)[-2:]) + (f":{line}" if line else "")
    return place if len(place) <= width else ELLIPSIS + place[len(place) - width + 1 :]


def full(file: str, line: int) -> str | None:
    """`/path/to/file.py:12`, None for an unknown file."""
    return f"{file}:{line}" if file else None
