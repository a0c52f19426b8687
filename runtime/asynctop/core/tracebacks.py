"""Keeping our own frames out of the program's tracebacks."""

from __future__ import annotations


def leave_out(error: BaseException) -> None:
    """Take the frame that has caught `error` out of its traceback. A bare `raise` does not put it back."""
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
