"""Reading what tasks are suspended on, on the threads of their loops, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from asynctop.awaits import await_chain, is_cancelled
from asynctop.core.contract import Core
from asynctop_protocol import Chains, Inspect

SLICE = 40
"""Tasks read in one turn of a loop: about a quarter of a millisecond."""
GLANCE = 400
"""Tasks that are only asked whether they have been cancelled: the same."""


class Inspection:
    """The answer to one question, in the making: the next slice is read when the one before has been sent."""

    def __init__(self, core: Core, question: Inspect, deliver: Callable[[Inspection, Chains], None]) -> None:
        self._core = core
        self._request = question.request
        self._cancelled = question.cancelled
        self._slice = GLANCE if question.cancelled else SLICE
        self._deliver = deliver
        wanted = set(question.tasks)
        self._left: list[tuple[Any, list[tuple[int, Hashable]]]] = []
        """Loops, and the tasks that are still to be read there."""
        for number, loop in core.loops().items():
            tasks = core.tasks_of(number)
            self._left.append((loop, [each for each in tasks if each[0] in wanted] if wanted else tasks))

    def proceed(self) -> None:
        """Have the next slice read by its loop, or say that this was all."""
        while self._left:
            loop, tasks = self._left[-1]
            some = tasks[-self._slice :]
            del tasks[-self._slice :]
            try:
                if some and loop.is_running():
                    loop.call_soon_threadsafe(self._read, some)
                    return
            except RuntimeError:
                pass  # closed meanwhile
            self._left.pop()
        self._deliver(self, Chains(self._request, [], done=True))

    def _read(self, tasks: list[tuple[int, Hashable]]) -> None:
        """On the loop's thread."""
        try:
            found = self._core.find(tasks)
            if self._cancelled:
                found = [each for each in found if is_cancelled(each[1])]
            chains = [await_chain(number, task, self._core.identify) for number, task in found]
        except Exception:
            chains = []  # whatever a foreign awaitable did to us must not reach the program's loop
        self._deliver(self, Chains(self._request, chains, done=False))
