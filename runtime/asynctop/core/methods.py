"""What stands in for the methods of a loop class that has handles of its own (uvloop)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from asynctop.core.tracebacks import leave_out
from asynctop_protocol import WakerSource

Wrap = Callable[[Any, Callable[..., object], WakerSource], Callable[..., object]]


def wrapping_method(
    wrap: Wrap, method: Callable[..., Any], position: int, source: WakerSource
) -> Callable[..., Any]:
    """What to put in place of a loop class's `method`, which takes a callback at `position` or by name."""

    @functools.wraps(method)
    def wrapped(loop: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            if len(args) >= position:
                *before, callback = args[:position]
                if takes(callback):
                    args = (*before, wrap(loop, callback, source), *args[position:])
            elif takes(kwargs.get("callback")):
                kwargs["callback"] = wrap(loop, kwargs["callback"], source)
            handle = method(loop, *args, **kwargs)
        except BaseException as error:
            leave_out(error)
            raise
        if handle is not None and handle._source_traceback:
            del handle._source_traceback[-1]  # this frame
        return handle

    def takes(callback: Any) -> bool:
        # Where not, the loop has its own words for it.
        return callable(callback) and not (
            source is WakerSource.SIGNAL and inspect.iscoroutinefunction(callback)
        )

    return wrapped
