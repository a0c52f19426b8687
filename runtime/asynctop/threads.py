"""Ending threads of ours to the last."""

from __future__ import annotations

import os
import threading
import time

LONGEST_S = 0.2
"""How long the system may take to be done with a thread that has run its last line. It takes microseconds."""


def join(thread: threading.Thread) -> None:
    """Wait until `thread` has ended, for the system too.

    From 3.12 on the interpreter counts the system's threads at each fork, and warns where there is more than
    one: a thread of ours that is nearly gone must not be among them.
    """
    thread.join()
    until = time.monotonic() + LONGEST_S
    while os.path.exists(f"/proc/self/task/{thread.native_id}") and time.monotonic() < until:
        time.sleep(0)
