"""Reading what tasks are suspended on, on the threads of their loops, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asynctop.core.contract import Core
from asynctop.stacks import await_chain
from asynctop_protocol import Chain, Chains, Inspect

SLICE = 40
"""Tasks read in one turn of a loop: about a quarter of a millisecond."""


class Inspection:
    """The answer to one question, in the making. Its steps run as callbacks of the loops it asks about."""

    def __init__(self, core: Core, question: Inspect, deliver: Callable[[Chains], None]) -> None:
        self._core = core
        self._request = question.request
        self._deliver = deliver
        wanted = set(question.tasks)
        self._loops = core.loops()
        self._left: list[tuple[int, list[int]]] = []
        for number in self._loops:
            ids = core.tasks_of(number)
            self._left.append((number, [each for each in ids if each in wanted] if wanted else ids))

    def proceed(self) -> None:
        """Hand the next loop its tasks, or say that this was all."""
        while self._left:
            number, ids = self._left.pop()
            if not ids:
                continue
            loop = self._loops[number]
            try:
                loop.call_soon_threadsafe(self._read, loop, ids)
            except RuntimeError:  # closed meanwhile
                continue
            return
        self._deliver(Chains(self._request, [], done=True))

    def _read(self, loop: Any, ids: list[int]) -> None:
        try:
            some, rest = ids[:SLICE], ids[SLICE:]
            self._deliver(Chains(self._request, self._chains(some), done=False))
            if rest:
                loop.call_soon(self._read, loop, rest)
            else:
                self.proceed()
        except Exception:
            # Whatever a foreign awaitable did to us must not reach the program's loop.
            self._deliver(Chains(self._request, [], done=True))

    def _chains(self, ids: list[int]) -> list[Chain]:
        return [await_chain(number, task, self._core.identify) for number, task in self._core.find(ids)]
