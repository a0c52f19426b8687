"""Keeping our own frames out of the program's tracebacks."""

from __future__ import annotations

from typing import Any

from asynctop.core.sites import OWN_DIRECTORY


def leave_out(error: BaseException) -> None:
    """Take the frame that has caught `error` out of its traceback. A bare `raise` does not put it back."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def leave_out_of_source(made: Any) -> None:
    """Take our frames out of what debug mode remembers of where a task was made."""
    lines = getattr(made, "_source_traceback", None)
    if lines:
        lines[:] = [line for line in lines if not line.filename.startswith(OWN_DIRECTORY)]
