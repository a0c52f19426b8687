"""Cores, loops, and the check that each test leaves no trace of us."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import sys
import tempfile
import threading
import warnings
from asyncio import base_events, events
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from asynctop.core import Core, make_core
from asynctop.hooks.loops import patches, unwatch_factories
from asynctop.hooks.patches import Patches
from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
if sys.version_info >= (3, 12):

    def eager_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop()
        loop.set_task_factory(asyncio.eager_task_factory)
        return loop

    LOOPS["eager"] = eager_loop
if importlib.util.find_spec("uvloop"):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


def surroundings() -> dict[str, Any]:
    """What we touch while we are installed, as the very objects that stand there."""
    owners: list[Any] = [
        base_events.BaseEventLoop,
        events,
        asyncio.StreamReader,
        asyncio.tasks,
        asyncio.CancelledError,
    ]
    if "uvloop" in sys.modules:
        owners.append(sys.modules["uvloop"].Loop)
    found: dict[str, Any] = {}
    if "trio" in sys.modules:
        found["trio's runs"] = sys.modules["trio"]._core._run.Instruments
    found |= {
        f"{owner.__name__}.{name}": value
        for owner in owners
        for name, value in vars(owner).items()
        if callable(value) and (not name.startswith("__") or name == "__init__")
    }
    found["meta_path"] = tuple(sys.meta_path)
    found["warnings"] = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    found["gc callbacks"] = tuple(gc.callbacks)
    found["threads"] = {thread.name for thread in threading.enumerate() if "asynctop" in thread.name}
    found["sockets"] = os.listdir(os.environ["ASYNCTOP_DIR"])
    return found


@pytest.fixture(autouse=True)
def _leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="at-") as directory:
        monkeypatch.setenv("ASYNCTOP_DIR", directory)
        before = surroundings()
        yield
        assert surroundings() == before
        marked = [
            each
            for each in gc.get_objects()
            if isinstance(each, asyncio.AbstractEventLoop)
            and {"_asynctop_stats", "create_task"} & vars(each).keys()
        ]
        assert marked == []


@pytest.fixture
def faults() -> list[Exception]:
    """What failed in the core."""
    return []


def cores() -> list[str]:
    """The cores to test: those that ASYNCTOP_TEST_CORES names, where a missing one is a failure; else those
    that there are."""
    named = os.environ.get("ASYNCTOP_TEST_CORES", "").split()
    native = ("asynctop.core.native._native", "asynctop.core.native.core")
    return named or (["c", "python"] if all(map(importlib.util.find_spec, native)) else ["python"])


@pytest.fixture(params=cores())
def core_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each core's name, set as the one to use."""
    monkeypatch.setenv("ASYNCTOP_CORE", request.param)
    name: str = request.param
    return name


python_core_only = pytest.mark.parametrize("core_name", ["python"], indirect=True)
"""For a test that reaches into the Python core, to break it."""


@pytest.fixture
def core(core_name: str, faults: list[Exception]) -> Iterator[Core]:
    """Each core, not hooked to anything."""
    made = make_core(50_000_000, faults.append)
    yield made
    made.forget()


@contextmanager
def hooks(core: Core) -> Iterator[None]:
    """The core's hooks in place."""
    patched = Patches()
    patched.apply(patches(core))
    try:
        yield
    finally:
        patched.undo()
        unwatch_factories()


@pytest.fixture
def hooked(core: Core, faults: list[Exception]) -> Iterator[Core]:
    """Each core, its hooks in place, and nothing in it that fails."""
    with hooks(core):
        yield core
    assert faults == []


@pytest.fixture
def recorded(hooked: Core) -> Recorded:
    """A console of the hooked core."""
    return Recorded(hooked)


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """`asyncio.run` on each kind of loop."""

    def run_on_loop(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(main)

    return run_on_loop
