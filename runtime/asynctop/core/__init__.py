"""Recorder cores, and which one this process uses.

`ASYNCTOP_CORE` names one ("c" or "python") and forbids falling back to the other. Where it is not set, the C
core is used if it is there, else the Python core. Consoles are told which one it is; the reason why it is not
the C core goes to the logger "asynctop", at INFO.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from asynctop.core.contract import Core

__all__ = ["Core", "make_core"]

VARIABLE = "ASYNCTOP_CORE"


def make_core(threshold_ns: int, on_fault: Callable[[Exception], None]) -> Core:
    """The core this process uses. `on_fault` is told of what fails in its hooks.

    ValueError where `ASYNCTOP_CORE` asks for one that there is not."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "c", "python"):
        raise ValueError(
            f'{VARIABLE} is "{wanted}": expected "c" or "python", or nothing for the best there is'
        )
    # Each is imported where it is used: a program that asked for the Python core never loads the extension.
    if wanted != "python":
        try:
            from asynctop.core.native.core import NativeCore
        except ImportError as error:
            if wanted:
                raise ValueError(
                    f'{VARIABLE} is "c", but this install has no C core ({error}): '
                    "install a C compiler and Python's headers, then asynctop again from source, or unset it"
                ) from error
            logging.getLogger("asynctop").info("using the Python core, there is no C core: %s", error)
        else:
            native: Core = NativeCore(threshold_ns, on_fault)
            return native
    from asynctop.core.python.core import PythonCore

    return PythonCore(threshold_ns, on_fault)
