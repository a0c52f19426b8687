"""Which of the resources that tasks wait for nobody can reach any more, so that nobody will ever wake them.

It is what a garbage collector does, with other roots: what can still run. Those are the tasks that wait for
none of these resources, the loops' timers, transports and handlers, other threads, and handlers of signals.
What can be reached from there can be used; a resource that can be used may be released, set or filled, and
then its waiters can run too, and what they reach can be used. The resources that are left over at the end,
and their waiters, are stranded.

A suspended frame reaches what the code that it can still come to uses. A namespace (of a module, a class or
an object of the user's) is entered by names only: those that reachable code mentions. The standard library's
own namespaces are not entered, and its objects reach all they refer to. A semaphore is of no use to code that
must acquire it before it releases it, as it would wait too; nor is a full queue to code that takes nothing.
What the program reaches by other means, `gc` or names made up at run time, is not seen.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from types import (
    AsyncGeneratorType,
    CellType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    GetSetDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any, NamedTuple

from asynctop.awaits.liveness import Uses, releases_from, uses_from, uses_of
from asynctop.core.sites import LIBRARY_DIRECTORIES, OWN_DIRECTORY, USER, owner

MOST = 50_000
"""Objects looked at: a larger program has too many ways from everywhere to everything, and nobody would
believe the answer."""

_SUSPENDED = {CoroutineType: "cr_frame", GeneratorType: "gi_frame", AsyncGeneratorType: "ag_frame"}


_CALLED = frozenset(
    name
    for kind in (
        asyncio.Protocol,
        asyncio.BufferedProtocol,
        asyncio.DatagramProtocol,
        asyncio.SubprocessProtocol,
    )
    for name in dir(kind)
    if not name.startswith("_")
)
"""Methods of the program's objects that the loop calls."""


_SEMAPHORES = (asyncio.Semaphore, asyncio.BoundedSemaphore)
"""Of which only who holds a permit wakes anybody. Of a subclass nobody knows."""
_QUEUES = (asyncio.Queue, asyncio.PriorityQueue, asyncio.LifoQueue)
"""Of which, where nobody waits for an item, only who takes one wakes anybody."""
_HELPING: dict[type, tuple[str, ...]] = {
    **dict.fromkeys(_SEMAPHORES, ("release", "__aexit__")),
    **dict.fromkeys(_QUEUES, ("get", "get_nowait", "task_done", "shutdown", "_queue", "_get")),
}
"""The methods that wake those who wait, by what they wait for."""


class Waiter(NamedTuple):
    """A task that waits for a resource or for tasks, and for no time that is set."""

    number: int
    task: Any
    future: Any
    """What it is suspended on."""
    resource: Any
    """None where it waits for tasks."""
    awaits: list[Any]
    """Tasks, all of which must end before it can run."""

    def still_waits(self) -> bool:
        """Whether it has not been woken meanwhile."""
        return getattr(self.task, "_fut_waiter", None) is self.future


class Reach:
    """One search, a little at a time."""

    def __init__(
        self, waiters: list[Waiter], tasks: list[Any], loops: list[Any], ours: Iterable[Any]
    ) -> None:
        self._blocked: dict[int, Waiter] = {}
        """The tasks that have not been found to be able to run, by their own ids as objects."""
        self._blockers: dict[int, int] = {}
        """How many such tasks each of them waits for."""
        self._awaited_by: dict[int, list[Waiter]] = {}
        self._by_resource: dict[int, list[Waiter]] = {}
        self._seen = {id(each) for each in (self, *ours)}
        self._kept: list[Any] = []
        """What has been seen, so that no id is used again."""
        self._names = set(_CALLED)
        self._reached: list[Any] = []
        """Resources that can be reached, though perhaps not by who can help."""
        self._releases = False
        """Whether something that can run may release what it has not acquired."""
        self._spaces: list[Mapping[str, Any]] = []
        self._left: list[Any] = []
        self._given_up = False
        self._steps = self._search(waiters, tasks, loops)
        self.undecided = True
        """Whether there is more to look at."""

    def stranded(self) -> list[Waiter]:
        """Those whose resource nobody can reach; none where the search was given up."""
        if self._given_up or self.undecided:
            return []
        # Where one got it meanwhile, whoever had it before was looked at too late.
        return [
            each
            for waiters in self._by_resource.values()
            if all(waiter.still_waits() for waiter in waiters)
            for each in waiters
        ]

    def proceed(self, span_ns: int) -> None:
        """Look for about so long."""
        until = time.perf_counter_ns() + span_ns
        for _ in self._steps:
            if time.perf_counter_ns() >= until:
                return
        self.undecided = False

    def _search(self, waiters: list[Waiter], tasks: list[Any], loops: list[Any]) -> Iterator[None]:
        """The search itself, in small steps."""
        for waiter in waiters:
            self._blocked[id(waiter.task)] = waiter
            yield
        for waiter in waiters:
            if waiter.resource is not None:
                self._by_resource.setdefault(id(waiter.resource), []).append(waiter)
            blockers = {id(task) for task in waiter.awaits} & self._blocked.keys()
            self._blockers[id(waiter.task)] = len(blockers)
            for blocker in blockers:
                self._awaited_by.setdefault(blocker, []).append(waiter)
            yield
        for waiter in waiters:
            if waiter.resource is None and not self._blockers[id(waiter.task)]:
                yield from self._wake(waiter)
        self._left += loops
        self._left += _handlers()
        for frame in _of_threads():
            self._look_into(frame)
            yield
        for task in tasks:
            if id(task) not in self._blocked:
                self._left.append(task)
            yield
        known = 0
        while self._left or known < len(self._names):
            while self._left:
                if len(self._kept) + len(self._left) > MOST:
                    self._given_up = True
                    return
                yield from self._look_at(self._left.pop())
                yield
            for each in filter(self._helps, self._reached):
                yield from self._use(each)
            known = len(self._names)
            for space in self._spaces:
                self._enter(space)
                yield

    def _wake(self, waiter: Waiter) -> Iterator[None]:
        """It can be woken, and so can those who wait for it alone."""
        woken = [waiter]
        while woken:
            task = woken.pop().task
            if self._blocked.pop(id(task), None) is None:
                continue
            self._seen.discard(id(task))
            self._left.append(task)
            for other in self._awaited_by.get(id(task), ()):
                self._blockers[id(other.task)] -= 1
                if other.resource is None and not self._blockers[id(other.task)]:
                    woken.append(other)
                yield

    def _helps(self, each: Any) -> bool:
        """Whether something that can use this resource can wake those who wait for it."""
        if type(each) in _SEMAPHORES:
            return self._releases
        names = _HELPING.get(type(each), ())
        return not names or bool(each._getters) or not self._names.isdisjoint(names)

    def _use(self, each: Any) -> Iterator[None]:
        """Whoever waits for it can be woken."""
        for waiter in self._by_resource.pop(id(each), ()):
            yield from self._wake(waiter)

    def _look_at(self, each: Any) -> Iterator[None]:
        if id(each) in self._seen:
            return
        self._seen.add(id(each))
        self._kept.append(each)
        if id(each) in self._by_resource:
            self._reached.append(each)
        if id(each) in self._blocked:
            return  # Whoever has the task cannot reach into its coroutine.
        kind = type(each)  # what isinstance() asks besides may be the program's
        if kind is FunctionType:
            self._left += (each.__closure__, each.__defaults__, each.__kwdefaults__, each.__dict__)
            if _enters(each.__code__.co_filename):
                self._mention(uses_of(each.__code__), each.__globals__)
                self._releases |= releases_from(each.__code__)
        elif kind is MethodType and each.__name__ in _HELPING.get(type(each.__self__), ()):
            yield from self._use(each.__self__)
        elif kind is FrameType or kind is TracebackType:
            pass  # What an exception has passed through does not go on.
        elif kind in _SUSPENDED:
            self._look_into_suspended(each, getattr(each, _SUSPENDED[kind]))
        elif issubclass(kind, ModuleType):
            if _is_entered(each):
                self._spaces.append(vars(each))
        elif issubclass(kind, type):
            self._look_into_class(each)
        elif issubclass(kind, weakref.ref):
            self._left.append(each())
        elif gc.is_tracked(each):
            self._look_into_object(each)

    def _look_into_suspended(self, each: Any, frame: FrameType | None) -> None:
        if frame is None:
            return
        local = frame.f_locals
        variables = {id(local), *map(id, local.values())}
        self._look_into(frame)
        # And what the blocks it is in, and its loops, are about.
        self._left += [
            value
            for value in gc.get_referents(each)
            if id(value) not in variables and type(value) not in (CellType, FrameType, CodeType, FunctionType)
        ]

    def _look_into_class(self, each: type) -> None:
        if _is_entered(sys.modules.get(each.__module__)):
            self._spaces.append(vars(each))
            self._left += each.__mro__
            if not all(map(_is_plain, each.__mro__)):
                self._left += vars(each).values()  # whatever its foreign bases call

    def _look_into_object(self, each: Any) -> None:
        space = _namespace(each)
        if space is None:
            self._left += gc.get_referents(each)
            return
        self._spaces.append(space)
        self._enter(space)
        named = {id(value) for value in space.values()}
        self._left += [
            value for value in gc.get_referents(each) if value is not space and id(value) not in named
        ]

    def _look_into(self, frame: FrameType) -> None:
        """A frame that can go on."""
        code = frame.f_code
        uses = uses_from(code, frame.f_lasti) if _enters(code.co_filename) else Uses(frozenset(), frozenset())
        self._releases |= _enters(code.co_filename) and releases_from(code, frame.f_lasti)
        for name, value in frame.f_locals.items():
            if name in uses.variables or not _enters(code.co_filename):
                self._left.append(value)
        self._mention(uses, frame.f_globals)

    def _mention(self, uses: Uses, names: Mapping[str, Any]) -> None:
        self._left += [names[name] for name in uses.names if name in names]
        self._names |= uses.names

    def _enter(self, space: Mapping[str, Any]) -> None:
        """Look up the names that have been mentioned so far, and what is used without a mention."""
        self._left += [
            value
            for name, value in space.items()
            if (name in self._names or _is_implied(name, value)) and id(value) not in self._seen
        ]


def _enters(filename: str) -> bool:
    """Whether code in this file is read for the names that it mentions: the user's, and that of packages."""
    if filename.startswith(OWN_DIRECTORY):
        return False
    return owner(filename) == USER or any(place in filename for place in LIBRARY_DIRECTORIES[1:])


def _is_entered(module: ModuleType | None) -> bool:
    return module is not None and _enters(getattr(module, "__file__", None) or "<frozen ")


def _is_implied(name: str, value: Any) -> bool:
    """Whether it is a method that is called without a mention. What has made an object has done its work."""
    return name.startswith("__") and name not in ("__init__", "__new__") and isinstance(value, FunctionType)


def _is_plain(kind: type) -> bool:
    """Whether it is a class whose objects' attributes are used by the code that has been looked at."""
    return (
        kind is object
        or kind.__module__ in ("abc", "typing")
        or _is_entered(sys.modules.get(kind.__module__))
    )


def _namespace(each: Any) -> dict[str, Any] | None:
    """The attributes of an object, where only code that has been looked at uses them."""
    mro = type(each).__mro__
    if not all(map(_is_plain, mro)):
        return None
    found = next((vars(kind)["__dict__"] for kind in mro if "__dict__" in vars(kind)), None)
    # Of the program's own properties nothing is run.
    space = found.__get__(each) if type(found) is GetSetDescriptorType else None
    return space if type(space) is dict else None


def _handlers() -> Iterator[Any]:
    """The handlers of signals."""
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        if callable(handler):
            yield handler


def _of_threads() -> Iterator[FrameType]:
    """What other threads are in the middle of. Not what is below a loop: that goes on when the loop ends."""
    for number, innermost in sys._current_frames().items():
        stack: list[FrameType] = []
        frame: FrameType | None = innermost
        while frame is not None:
            stack.append(frame)
            if frame.f_code.co_name in ("run_forever", "_run_once"):
                break
            frame = frame.f_back
        if number != threading.get_ident() and not any(
            each.f_code.co_filename.startswith(OWN_DIRECTORY) for each in stack
        ):
            yield from stack
