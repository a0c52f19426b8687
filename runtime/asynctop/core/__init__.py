"""Recorder cores, and which one this process uses.

`ASYNCTOP_CORE` names one ("python") and forbids falling back to another.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from asynctop.core.contract import Core
from asynctop.core.python.core import PythonCore

__all__ = ["Core", "make_core"]

VARIABLE = "ASYNCTOP_CORE"


def make_core(threshold_ns: int, on_fault: Callable[[Exception], None]) -> Core:
    """The core this process uses. `on_fault` is told of what fails in its hooks.

    ValueError where `ASYNCTOP_CORE` asks for one that there is not."""
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "python"):
        raise ValueError(
            f'{VARIABLE} is "{wanted}", but the cores of this build are: "python". Unset it or name one.'
        )
    return PythonCore(threshold_ns, on_fault)
