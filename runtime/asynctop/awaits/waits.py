"""What a task's future stands for: one of asyncio's resources, other tasks, a job in an executor, a timer.

It is told by asyncio's own frame at the end of the await chain, whose `self` is the resource, and by the
callbacks that asyncio has put on the future.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from types import FrameType, FunctionType
from typing import Any, NamedTuple

from asynctop.awaits.executors import executor_of
from asynctop.awaits.held import described
from asynctop.core.sites import ASYNCIO_DIRECTORY

DEEPEST = 10
"""Futures that stand for futures that stand for futures: `gather` within `shield` and so on."""


class Wait(NamedTuple):
    """What a task waits for."""

    type: str
    subject: Any
    description: str
    attributes: dict[str, int]
    tasks: list[Any]
    """The tasks that it waits for, however indirectly."""
    any_of: bool
    """Whether one of them is enough, or a time that is set."""


def wait_of(future: Any, path: list[FrameType]) -> Wait:
    """What `future` stands for, to the task that is suspended on it at the end of this path."""
    if _is_task(future):
        return Wait("task", future, future.get_name(), {}, [future], False)
    frame = next((each for each in path[-2:] if each is path[-1] or _asyncios(each) in _WITHIN), None)
    read = _FRAMES.get(_asyncios(frame)) if frame is not None else None
    found = read(frame, future) if frame is not None and read is not None else None
    return found if found is not None else _of_future(future)


def _asyncios(frame: FrameType) -> str:
    """The name of a coroutine of asyncio's; "" for others'."""
    code = frame.f_code
    return code.co_qualname if code.co_filename.startswith(ASYNCIO_DIRECTORY) else ""


def _of_future(future: Any) -> Wait:
    children = getattr(future, "_children", None)
    if type(future).__name__ == "_GatheringFuture" and isinstance(children, list):
        return _of_several("gather", future, children, any_of=False)
    source = _source(future)
    if isinstance(source, concurrent.futures.Future):
        number, description, attributes = executor_of(source)
        return Wait("executor", number, description, attributes, [], False)
    if source is not None:
        return _of_several("shield", future, [source], any_of=False)
    return Wait("future", future, type(future).__qualname__, {}, [], False)


def _of_several(type_: str, subject: Any, futures: Any, *, any_of: bool) -> Wait:
    tasks = list(_tasks_in(futures))
    pending = sum(not future.done() for future in futures)
    return Wait(type_, subject, f"{type_}() of {len(futures)}", {"pending": pending}, tasks, any_of)


def _tasks_in(futures: Any, deep: int = 0) -> Iterator[Any]:
    """The unfinished tasks that these futures stand for."""
    for future in futures:
        if future.done():
            continue
        if _is_task(future):
            yield future
        elif deep < DEEPEST:
            yield from _tasks_in(_of_future(future).tasks, deep + 1)


def _is_task(future: Any) -> bool:
    return hasattr(type(future), "get_coro")


_SOURCES = {
    "_chain_future.<locals>._call_check_cancel": "source",
    "shield.<locals>._outer_done_callback": "inner",
}
"""Callbacks by which asyncio ties a future to another one, and what they call that."""


def _source(future: Any) -> Any:
    """The future whose result `future` will get; None where asyncio has not tied it to one."""
    for callback, *_ in getattr(future, "_callbacks", None) or ():
        if (source := tied_to(callback)) is not None:
            return source
    return None


def tied_to(callback: Any) -> Any:
    """The future that another one is tied to by this callback of asyncio's; None where it is none such."""
    if isinstance(callback, FunctionType) and (name := _SOURCES.get(callback.__qualname__)):
        names = callback.__code__.co_freevars
        if callback.__closure__ is not None and name in names:
            return callback.__closure__[names.index(name)].cell_contents
    return None


# -- asyncio's own frames --


def _timer(frame: FrameType, future: Any) -> Wait:
    delay = frame.f_locals.get("delay")
    description = f"sleep({delay:g})" if isinstance(delay, int | float) else "sleep"
    return Wait("timer", future, description, {}, [], False)


def _wait(frame: FrameType, future: Any) -> Wait:
    """`asyncio.wait()`, and `wait_for()` up to 3.11."""
    local = frame.f_locals
    futures = local.get("fs") or [local[name] for name in ("fut",) if name in local]
    timed = local.get("timeout_handle") is not None
    any_of = timed or local.get("return_when") == concurrent.futures.FIRST_COMPLETED
    return _of_several("wait", future, list(futures), any_of=any_of)


def _task_group(frame: FrameType, future: Any) -> Wait:
    group = frame.f_locals["self"]
    tasks = [task for task in group._tasks if not task.done()]
    return Wait("task group", group, f"TaskGroup of {len(tasks)}", {"pending": len(tasks)}, tasks, False)


def _resource(type_: str, *numbers: str) -> Callable[[FrameType, Any], Wait | None]:
    """What waits for its `self`, of which these attributes are told."""

    def read(frame: FrameType, future: Any) -> Wait | None:
        resource = frame.f_locals.get("self")
        if resource is None:
            return None
        attributes = {}
        for name in numbers:
            value: Any = getattr(resource, name, None)
            if hasattr(value, "__len__"):
                value = len(value)
            if isinstance(value, int):
                attributes[_NAMES.get(name, name.strip("_"))] = int(value)
        doing = frame.f_code.co_qualname.rpartition(".")[2].strip("_")
        return Wait(type_, resource, f"{described(resource)}, in {doing}()", attributes, [], False)

    return read


_NAMES = {"_value": "permits", "_bound_value": "bound", "_queue": "size", "_unfinished_tasks": "unfinished"}
"""What attributes are called where they are shown."""

_QUEUE = _resource("queue", "_queue", "_maxsize", "_unfinished_tasks")

_FRAMES: dict[str, Callable[[FrameType, Any], Wait | None]] = {
    "sleep": _timer,
    "_wait": _wait,
    "wait_for": _wait,
    "TaskGroup.__aexit__": _task_group,
    "TaskGroup._aexit": _task_group,
    "Lock.acquire": _resource("lock", "_locked", "_waiters"),
    "Event.wait": _resource("event", "_waiters"),
    "Condition.wait": _resource("condition", "_waiters"),
    "Semaphore.acquire": _resource("semaphore", "_value", "_bound_value", "_waiters"),
    "Barrier._wait": _resource("barrier", "_parties", "_count"),
    "Barrier._block": _resource("barrier", "_parties", "_count"),
    "Queue.get": _QUEUE,
    "Queue.put": _QUEUE,
    "Queue.join": _QUEUE,
    "StreamReader._wait_for_data": _resource("stream", "_buffer"),
    "FlowControlMixin._drain_helper": _resource("stream"),
    "StreamReaderProtocol._drain_helper": _resource("stream"),
    "BaseSubprocessTransport._wait": _resource("subprocess", "_pid"),
}
"""asyncio's own coroutines that wait, and how each tells for what."""
_WITHIN = ("Queue.join",)
"""Those that wait for an event of their own."""
