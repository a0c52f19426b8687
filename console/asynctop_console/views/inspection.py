"""When the program is asked what its tasks wait for.

Reading a chain takes about 7 µs of the task's own event loop, forty of them in one turn of it. So all tasks
are read only while a screen shows what comes of it, or while there are few of them: 2,000 every 2 s are 0.7 %
of one loop's time, and the warnings then know of deadlocks and convoys whichever screen is open.

A program answers one question at a time: a new one cuts the answer to the last one short.
"""

from __future__ import annotations

from collections.abc import Callable

from asynctop_console.model import Model
from asynctop_protocol.messages import Chains, Inspect

FEW = 2_000
"""Live tasks that are read all the time, whatever is shown."""

_FEW_NS = 2_000_000_000
_MANY_NS = 5_000_000_000
_ONE_NS = 1_000_000_000
"""Between two questions about all of few tasks, about all of many, about a single one."""

_GLANCE_NS = 500_000_000
"""Between two questions about the cancelled tasks: how a cancellation goes is seen only while it lasts."""
_GLANCE_REST = 20
"""After an answer to that, so many times as long as it took."""

_MOST_TOOK_NS = 5_000_000_000
"""After an answer the program is left alone for as long as that took, and at most for so long."""

_PATIENCE_NS = 5_000_000_000
"""Without a word for so long, an answer is cut short by the next question: its loop is blocked perhaps, but
there are others."""

ALL: tuple[int, ...] = ()
"""Every live task, as `Inspect` writes it."""


class Inspection:
    """Asks, through `send`, no more often than it should; `clock_ns` is any steady clock."""

    def __init__(self, send: Callable[[Inspect], None], clock_ns: Callable[[], int]) -> None:
        self._send = send
        self._clock_ns = clock_ns
        self._request = 0
        self._wanted: tuple[int, ...] = ALL
        self.restart()

    def restart(self) -> None:
        """Nobody will answer what was asked so far: the connection is another one."""
        self._heard_ns: int | None = None
        """While an answer is on its way: when it was last heard of."""
        self._asked_ns: dict[tuple[int, ...], int] = {}
        """When all tasks were asked about, and when those of the last question."""
        self._rest_until_ns = 0
        self._glance_ns = 0
        """When the last glance was asked for, and"""
        self._next_glance_ns = 0
        """when the next one may be."""

    def keep_up(self, model: Model, shown: tuple[int, ...] | None) -> None:
        """Ask if it is time to. `shown` are the tasks whose chains are on the screen, None for none."""
        if not model.ticks:
            return
        few = model.tasks.alive <= FEW
        if not self._ask(few, shown) and few:
            self._glance()

    def _glance(self) -> None:
        """Ask how cancellations go, by a request below 0, where nothing else is asked."""
        now = self._clock_ns()
        if now < self._next_glance_ns or (self._heard_ns is not None and now - self._heard_ns < _PATIENCE_NS):
            return
        self._request += 1
        self._glance_ns, self._next_glance_ns = now, now + _PATIENCE_NS
        self._send(Inspect(-self._request, [], cancelled=True))

    def _ask(self, few: bool, shown: tuple[int, ...] | None) -> bool:
        """Ask for chains if it is time to. Whether that was done."""
        wanted = ALL if few else shown
        if wanted is None:
            return False
        now = self._clock_ns()
        waiting = self._heard_ns is not None and now - self._heard_ns < _PATIENCE_NS
        if waiting and (wanted == ALL or wanted == self._wanted):
            return False  # who looks at a single task does not wait until all are read
        period = _ONE_NS if wanted else _FEW_NS if few else _MANY_NS
        asked = self._asked_ns.get(wanted)
        if asked is not None and now < max(asked + period, self._rest_until_ns):
            return False
        self._request += 1
        self._wanted = wanted
        self._heard_ns = now
        self._asked_ns = {each: self._asked_ns[each] for each in self._asked_ns if each == ALL} | {
            wanted: now
        }
        self._send(Inspect(self._request, list(wanted), stranded=wanted == ALL))
        self._next_glance_ns = now + _GLANCE_NS
        return True

    def heard(self, answer: Chains) -> None:
        """A slice of an answer has come."""
        if answer.done and answer.request == -self._request:
            now = self._clock_ns()
            took = now - self._glance_ns
            self._next_glance_ns = max(self._glance_ns + _GLANCE_NS, now + _GLANCE_REST * took)
        if self._heard_ns is None or answer.request != self._request:
            return
        now = self._clock_ns()
        self._heard_ns = None if answer.done else now
        if answer.done:
            took = now - self._asked_ns[self._wanted]
            self._rest_until_ns = now + min(took, _MOST_TOOK_NS)
