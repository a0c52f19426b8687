"""The screen held still while the program runs on: what comes waits, or it is folded unseen, and the screen
shows an earlier moment."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from asynctop_console.lints import Rule, check_all
from asynctop_console.model import Model
from asynctop_console.model.times import minutes
from asynctop_console.trail import MOST_TASKS, Trail
from asynctop_console.views.frame import Frame, Link, Phase
from asynctop_protocol.messages import Message, Tick

_MOST_WAITING = 120
"""Ticks. Then the screen shows that moment of what is kept; where nothing is, reading stops, and the runtime
makes a larger step when it goes on."""


class Hold:
    """What is shown instead of the present, if anything is."""

    def __init__(
        self,
        model: Callable[[], Model],
        fold: Callable[[Message, bytes], object],
        rules: tuple[Rule, ...],
        still: asyncio.Lock,
    ) -> None:
        """`model` is that of the present, `fold` takes in a message and what it was read from, and `still` is
        held by whoever changes the model."""
        self.frame: Frame | None = None
        self.trail = Trail()
        self._model = model
        self._fold = fold
        self._rules = rules
        self._still = still
        self._waiting: deque[tuple[Message, bytes]] = deque()
        self._ticks = 0
        """That wait."""
        self._room = asyncio.Event()

    @property
    def delays(self) -> bool:
        """Whether what comes has to wait."""
        return self.frame is not None and self.frame.paused

    def begin(self, frame: Frame) -> None:
        """Go on showing this frame."""
        self.frame = replace(frame, paused=True)

    async def delay(self, message: Message, payload: bytes) -> None:
        """Let a message wait."""
        self._waiting.append((message, payload))
        self._ticks += isinstance(message, Tick)
        if self._ticks >= _MOST_WAITING and not await self.wind(0):
            self._room.clear()
            await self._room.wait()

    async def end(self) -> None:
        """Show the present from now on."""
        await self._catch_up()
        self.frame = None

    async def wind(self, by_ns: int) -> bool:
        """Show the moment that is so much later, or earlier, than the one that is shown, the present where
        that is over. Whether anything is kept."""
        return await self._move(lambda at_ns: at_ns + by_ns)

    async def step(self) -> bool:
        """Show the next update. Whether anything is kept."""
        return await self._move(self.trail.next_ns)

    def renewed(self, frame: Frame, now_ns: int, key: str) -> Frame:
        """The same frame, which says how it stands: now it is `now_ns`, and a key leads there."""
        if frame.paused:
            self.frame = replace(frame, held=self._ticks)
        else:
            earliest = " (earliest)" if frame.now_ns <= self.trail.from_ns else ""
            text = f"{minutes(now_ns - frame.now_ns)} ago{earliest}, {key} for now"
            self.frame = replace(frame, link=replace(frame.link, text=text))
        return self.frame

    @property
    def why_not(self) -> str:
        """Why nothing is kept that could be shown."""
        if self._model().tasks.rows > MOST_TASKS:
            return f"Of more than {MOST_TASKS:,} tasks nothing is kept to go back to: use `asynctop record`"
        return "There is nothing yet to go back to"

    async def _move(self, goal: Callable[[int], int]) -> bool:
        model = self._model()
        at_ns = model.now_ns if self.frame is None else self.frame.model.now_ns
        if not self.trail.from_ns:
            return False
        await self._catch_up()
        at_ns = goal(at_ns)
        if at_ns > model.now_ns:
            await self.end()
        else:
            earlier = self.trail.at(at_ns, model.past)
            findings = check_all(earlier, self._rules)
            self.frame = Frame(earlier, Link(Phase.PAST, ""), earlier.now_ns, findings)
        return True

    async def _catch_up(self) -> None:
        async with self._still:
            while self._waiting:
                message, payload = self._waiting.popleft()
                self._ticks -= isinstance(message, Tick)
                self._fold(message, payload)
                # The screen is painted meanwhile, and what comes waits behind the others.
                await asyncio.sleep(0)
        self._room.set()
