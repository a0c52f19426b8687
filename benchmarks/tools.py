"""How a program is given each tool from within, in its running loop: as the tool's own manual does it.

Each function returns what must be kept while the tool is to work.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Callable
from logging.handlers import BufferingHandler


def asynctop() -> object:
    """Ours. RuntimeError, with what it has logged, where it cannot be installed."""
    logged = BufferingHandler(100)
    logging.getLogger("asynctop").addHandler(logged)
    if not importlib.import_module("asynctop").install():
        raise RuntimeError(logged.buffer[-1].getMessage())
    return None


def aiocop() -> object:
    """Its quick start, all three parts of it."""
    module = importlib.import_module("aiocop")
    module.patch_audit_functions()
    module.start_blocking_io_detection()
    module.detect_slow_tasks(threshold_ms=50, on_slow_task=lambda event: None)
    return module.activate()


def aiomonitor() -> object:
    """With the task factory that sees tasks' creation and end."""
    module = importlib.import_module("aiomonitor")
    return module.start_monitor(asyncio.get_running_loop(), hook_task_factory=True)


def asyncviz() -> object:
    """With its dashboard, but without a browser."""
    return importlib.import_module("asyncviz").start(open_browser=False)


def blockbuster() -> object:
    """As its test fixture does."""
    buster = importlib.import_module("blockbuster").BlockBuster()
    buster.activate()
    return buster


def logfire() -> object:
    """The hook for slow callbacks; nothing is sent anywhere."""
    module = importlib.import_module("logfire")
    module.configure(send_to_logfire=False, console=False)
    return module.log_slow_async_callbacks()


def loopsentry() -> object:
    """With what sees slow tasks besides slow callbacks."""
    sentry = importlib.import_module("loopsentry").LoopSentry(
        base_dir=os.environ["ASYNCTOP_DIR"], detect_async_bottlenecks=True
    )
    sentry.start()
    return sentry


def yappi() -> object:
    """As it is used on coroutines: by wall time."""
    module = importlib.import_module("yappi")
    module.set_clock_type("WALL")
    return module.start()


SETUPS: dict[str, Callable[[], object]] = {
    setup.__name__: setup
    for setup in (asynctop, aiocop, aiomonitor, asyncviz, blockbuster, logfire, loopsentry, yappi)
}
