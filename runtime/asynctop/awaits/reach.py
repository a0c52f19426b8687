"""Which of the resources that tasks wait for nobody can reach any more, so that nobody will ever wake them.

It is what a garbage collector does, with other roots: what can still run. Those are the tasks that wait for
none of these resources, the loops' timers, transports and handlers, other threads, and handlers of signals.
What can be reached from there can be used; a resource that can be used may be released, set or filled, and
then its waiters can run too, and what they reach can be used. The resources that are left over at the end,
and their waiters, are stranded.

A suspended frame reaches what the code that it can still come to uses. A namespace (of a module, a class or
an object of the user's) is entered by names only: those that reachable code mentions. The standard library's
own namespaces are not entered, and its objects reach all they refer to. What the program reaches by other
means, `gc` or names made up at run time, is not seen.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from types import CellType, CodeType, FrameType, FunctionType, ModuleType, TracebackType
from typing import Any, NamedTuple

from asynctop.awaits.liveness import Uses, uses_from, uses_of
from asynctop.core.sites import LIBRARY_DIRECTORIES, OWN_DIRECTORY, USER, owner

MOST = 50_000
"""Objects looked at: a larger program has too many ways from everywhere to everything, and nobody would
believe the answer."""

_SUSPENDED = ("cr_frame", "gi_frame", "ag_frame")


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
    """One search, a few objects at a time."""

    def __init__(
        self, waiters: Iterable[Waiter], tasks: Iterable[Any], loops: Iterable[Any], ours: Iterable[Any]
    ) -> None:
        self._blocked = {id(each.task): each for each in waiters}
        self._release_whom_nobody_blocks()
        self._by_resource: dict[int, list[Waiter]] = {}
        for waiter in self._blocked.values():
            if waiter.resource is not None:
                self._by_resource.setdefault(id(waiter.resource), []).append(waiter)
        self._seen = {id(each) for each in (self, *ours)}
        self._kept: list[Any] = []
        """What has been seen, so that no id is used again."""
        self._names = set(_CALLED)
        self._spaces: list[Mapping[str, Any]] = []
        self._left: list[Any] = [*loops, *_handlers()]
        for frame in _of_threads():
            self._look_into(frame)
        self._left += [task for task in tasks if id(task) not in self._blocked]

    @property
    def undecided(self) -> bool:
        """Whether there is more to look at."""
        return bool(self._left) and len(self._kept) < MOST

    def stranded(self) -> list[Waiter]:
        """Those whose resource nobody can reach; none where the search was given up."""
        if self._left:
            return []
        return [each for waiters in self._by_resource.values() for each in waiters if each.still_waits()]

    def proceed(self, objects: int) -> None:
        """Look at some more objects."""
        while self.undecided and objects > 0:
            objects -= 1
            self._look_at(self._left.pop())
            if not self._left:
                for space in self._spaces:
                    self._enter(space)

    def _release_whom_nobody_blocks(self) -> None:
        """Who waits for tasks is blocked only if one of those is."""
        for waiter in list(self._blocked.values()):
            self._wake_if_free(waiter)

    def _wake_if_free(self, waiter: Waiter) -> bool:
        if waiter.resource is not None or any(id(task) in self._blocked for task in waiter.awaits):
            return False
        if self._blocked.pop(id(waiter.task), None) is None:
            return False
        for other in list(self._blocked.values()):
            self._wake_if_free(other)
        return True

    def _look_at(self, each: Any) -> None:
        if id(each) in self._seen:
            return
        self._seen.add(id(each))
        self._kept.append(each)
        for waiter in self._by_resource.pop(id(each), ()):
            self._wake(waiter)
        if id(each) in self._blocked:
            return  # Whoever has the task cannot reach into its coroutine.
        if isinstance(each, FunctionType):
            self._left += (each.__closure__, each.__defaults__, each.__kwdefaults__, vars(each))
            if _enters(each.__code__.co_filename):
                self._use(uses_of(each.__code__), each.__globals__)
        elif isinstance(each, FrameType | TracebackType):
            pass  # What an exception has passed through does not go on.
        elif isinstance(each, ModuleType):
            if _is_entered(each):
                self._spaces.append(vars(each))
        elif isinstance(each, type):
            if _is_entered(sys.modules.get(each.__module__)):
                self._spaces.append(vars(each))
                self._left += each.__mro__
                if not all(map(_is_plain, each.__mro__)):
                    self._left += vars(each).values()  # whatever its foreign bases call
        elif isinstance(each, weakref.ref):
            self._left.append(each())
        elif gc.is_tracked(each):
            self._look_behind(each)

    def _look_behind(self, each: Any) -> None:
        """An object that is none of the above."""
        for name in _SUSPENDED:
            if isinstance(
                frame := getattr(each, name, None) if hasattr(type(each), name) else None, FrameType
            ):
                local = frame.f_locals
                variables = {id(local), *map(id, local.values())}
                self._look_into(frame)
                # And what the blocks it is in, and its loops, are about.
                self._left += [
                    value
                    for value in gc.get_referents(each)
                    if id(value) not in variables
                    and not isinstance(value, CellType | FrameType | CodeType | FunctionType)
                ]
                return
        space = getattr(each, "__dict__", None)
        if isinstance(space, dict) and all(map(_is_plain, type(each).__mro__)):
            self._spaces.append(space)
            self._enter(space)
            named = {id(value) for value in space.values()}
            self._left += [
                value for value in gc.get_referents(each) if value is not space and id(value) not in named
            ]
        else:
            self._left += gc.get_referents(each)

    def _look_into(self, frame: FrameType) -> None:
        """A frame that can go on."""
        code = frame.f_code
        uses = uses_from(code, frame.f_lasti) if _enters(code.co_filename) else Uses(frozenset(), frozenset())
        for name, value in frame.f_locals.items():
            if name in uses.variables or not _enters(code.co_filename):
                self._left.append(value)
        self._use(uses, frame.f_globals)

    def _use(self, uses: Uses, names: Mapping[str, Any]) -> None:
        self._left += [names[name] for name in uses.names if name in names]
        self._names |= uses.names

    def _enter(self, space: Mapping[str, Any]) -> None:
        """Look up the names that have been mentioned so far, and what is used without a mention."""
        self._left += [
            value
            for name, value in space.items()
            if (name in self._names or _is_implied(name, value)) and id(value) not in self._seen
        ]

    def _wake(self, waiter: Waiter) -> None:
        """It can be woken, and so can those who wait for it alone."""
        before = dict(self._blocked)
        self._blocked.pop(id(waiter.task), None)
        for other in list(self._blocked.values()):
            self._wake_if_free(other)
        for number in before.keys() - self._blocked.keys():
            self._seen.discard(number)
            self._left.append(before[number].task)


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
