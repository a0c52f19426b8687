"""Going on after a fork, in the parent: only when the call that forked is over.

From 3.12 on the interpreter counts the system's threads after the fork's hooks have run, and warns where
there is more than one. A thread of ours that runs again by then would be counted, in a program that has no
other. So what goes on is left as a pending call of the interpreter, which the main thread runs between two
of its instructions, whether or not a loop runs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType


def when_forked(proceed: Callable[[], None], forks: FrameType | None) -> None:
    """Call `proceed` when the frame `forks`, which calls what forks, goes on. It must not raise.

    To be called from inside a hook of the fork. It is at once where a thread of ours makes no difference."""
    alone = threading.current_thread() is threading.main_thread()  # else the program has two, and is warned
    if sys.version_info < (3, 12) or not alone or forks is None:
        proceed()
        return
    try:
        import ctypes  # most programs do not fork, and do without it

        pending = ctypes.pythonapi.Py_AddPendingCall
        make = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    except Exception:  # an interpreter built without it: better a warning than a silent console
        proceed()
        return
    at = forks.f_lasti

    def look(_: int | None) -> int:
        nonlocal forks
        # Hooks of others may still run, above the frame that forks.
        hooks_run = forks is not None and sys._getframe(1) is not forks and forks.f_lasti == at
        if not hooks_run or pending(call, None) != 0:
            forks = None  # it keeps what the program has in there
            _kept.pop(id(call), None)
            proceed()
        return 0

    call = make(look)
    _kept[id(call)] = call
    if pending(call, None) != 0:  # very many are waiting
        _kept.pop(id(call), None)
        proceed()


_kept: dict[int, object] = {}
"""What the interpreter is about to call, by its id()."""
