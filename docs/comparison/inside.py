"""Runs a program with a tool at work in it, and writes down what the tool says: inside.py TOOL PROGRAM.

The tool is started as its own manual does it, in the running loop; the program knows nothing of it. Each
thing said is a line of JSON in the file that `COMPARISON_SAID` names. Log records, warnings and uncaught
exceptions, of whatever part of the program, are written there too, with who said them.

Where a tool can be told what counts as slow, it is told 50 ms.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

SLOW_S = 0.05
TESTED_S = 3.0
"""For how long a tool for tests has the program run before it ends it and looks at what is left."""

_SAID = os.open(os.environ["COMPARISON_SAID"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_SCRATCH = Path(os.environ["COMPARISON_SAID"]).parent
_MOST = 5000
"""Things said by one program; what is said later is left out."""
_write = os.write  # before anybody replaces it
_said = 0


def say(who: str, text: str) -> None:
    """Write down that somebody said something."""
    global _said
    _said += 1
    if _said <= _MOST:
        _write(_SAID, (json.dumps({"who": who, "text": text}) + "\n").encode())


class _Log(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.name, self.format(record))


def _say_exception(raised: threading.ExceptHookArgs | sys.UnraisableHookArgs) -> None:
    """What Python would have printed about an exception that nobody catches."""
    if raised.exc_value:
        say("exception", "".join(traceback.format_exception(raised.exc_value)))


class Console:
    """What a tool prints to."""

    def write(self, text: str) -> int:
        """Write it down."""
        if text.strip():
            say("console", text)
        return len(text)

    def flush(self) -> None:
        """There is nothing to flush."""


@asynccontextmanager
async def plain() -> AsyncIterator[None]:
    """Python alone, or in its debug mode."""
    asyncio.get_running_loop().slow_callback_duration = SLOW_S
    yield


@asynccontextmanager
async def aiocop() -> AsyncIterator[None]:
    """Its quick start, all parts of it, with the callback that its manual shows."""

    def slow(event: Any) -> None:
        if event.exceeded_threshold:
            lines = [f"{event.reason}: {event.elapsed_ms:.0f} ms, severity {event.severity_level}"]
            lines += [f"{each['event']}: {each['trace']}" for each in event.blocking_events[:5]]
            lines += [f"cpu sample x{each['count']}: {each['trace']}" for each in event.cpu_stack_samples[:5]]
            say("aiocop", "\n".join(lines))

    module = importlib.import_module("aiocop")
    module.patch_audit_functions()
    module.start_blocking_io_detection(trace_depth=20)
    module.detect_slow_tasks(threshold_ms=round(SLOW_S * 1000), on_slow_task=slow)
    module.activate()
    yield


@asynccontextmanager
async def aiodebug() -> AsyncIterator[None]:
    """Both of its detectors."""
    hangs = _SCRATCH / "hangs"
    hangs.mkdir()
    importlib.import_module("aiodebug.log_slow_callbacks").enable(SLOW_S)
    kept = importlib.import_module("aiodebug.hang_inspection").start(str(hangs), SLOW_S)
    yield
    del kept


@asynccontextmanager
async def aiomonitor() -> AsyncIterator[None]:
    """With the task factory that sees tasks' creation and end."""
    ports = _free_ports(3)
    with importlib.import_module("aiomonitor").start_monitor(
        asyncio.get_running_loop(),
        port=ports[0],
        console_port=ports[1],
        webui_port=ports[2],
        hook_task_factory=True,
    ):
        say("port", str(ports[2]))
        yield


@asynccontextmanager
async def blockbuster() -> AsyncIterator[None]:
    """As its test fixture does."""
    importlib.import_module("blockbuster").BlockBuster().activate()
    yield


@asynccontextmanager
async def logfire() -> AsyncIterator[None]:
    """The hook for slow callbacks; nothing is sent anywhere."""
    module = importlib.import_module("logfire")
    console = module.ConsoleOptions(colors="never", verbose=True, output=Console())
    module.configure(send_to_logfire=False, console=console)
    module.log_slow_async_callbacks(SLOW_S)
    yield


@asynccontextmanager
async def loopsentry() -> AsyncIterator[None]:
    """With what sees slow tasks besides slow callbacks."""
    sentry = importlib.import_module("loopsentry").LoopSentry(
        base_dir=str(_SCRATCH / "sentry"),
        threshold=SLOW_S,
        async_threshold=1.0,
        detect_async_bottlenecks=True,
    )
    sentry.start()
    yield


@asynccontextmanager
async def pyleak() -> AsyncIterator[None]:
    """As in a test: around the program, which is ended after a while; what is left is a leak."""
    module = importlib.import_module("pyleak")
    leaks = (module.TaskLeakError, module.EventLoopBlockError, module.PyleakExceptionGroup)
    try:
        async with module.no_task_leaks(action="raise", enable_creation_tracking=True):
            try:
                async with module.no_event_loop_blocking(
                    action="raise", threshold=SLOW_S, check_interval=SLOW_S / 5
                ):
                    try:
                        async with asyncio.timeout(TESTED_S):
                            yield
                    except TimeoutError:
                        pass
            except leaks as found:
                _say_all(found)
    except leaks as found:
        _say_all(found)


def _say_all(found: BaseException) -> None:
    for each in found.exceptions if isinstance(found, BaseExceptionGroup) else [found]:
        say("pyleak", str(each))


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


SETUPS: dict[str, Callable[[], AbstractAsyncContextManager[None]]] = {
    setup.__name__: setup
    for setup in (plain, aiocop, aiodebug, aiomonitor, blockbuster, logfire, loopsentry, pyleak)
}


def main(tool: str, program: str) -> None:
    """Run the program, with the tool in the first loop of the main thread."""
    run = asyncio.run

    def run_with_tool(work: Coroutine[Any, Any, Any], **options: Any) -> Any:
        async def around() -> Any:
            async with SETUPS[tool]():
                return await work

        if threading.current_thread() is not threading.main_thread():
            return run(work, **options)
        return run(around(), **options)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.excepthook = sys.unraisablehook = _say_exception
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_Log())
    asyncio.run = run_with_tool  # type: ignore[assignment]  # it takes and returns what the other does
    sys.argv = [program]
    try:
        runpy.run_path(program, run_name="__main__")
    except KeyboardInterrupt:
        pass  # this is how it is ended
    except BaseException:
        say("exception", traceback.format_exc())


if __name__ == "__main__":
    main(*sys.argv[1:])
