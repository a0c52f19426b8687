"""Looking at the whole model without keeping anybody waiting.

Ordering a million tasks or looking for what is wrong with them takes tens of milliseconds. That happens in a
thread, so that keys are heard and painted meanwhile. There is one rule that keeps it right: only the event
loop changes the model, and it does so under `still`, which a look holds for as long as it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

Found = TypeVar("Found")

AT_ONCE = 20_000
"""Looking at so many tasks takes no longer than painting some of them."""


class Look(Protocol):
    """`Looks.look` for somebody whose rows are known."""

    def __call__(self, look: Callable[[], Found], then: Callable[[Found], None]) -> None:
        """Call `look`, which only reads, and then `then` with what it found: at once, or later."""


class Looks:
    """Looks, one at a time."""

    def __init__(self, begin: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """`begin` has a coroutine run beside all else, such as `App.run_worker`."""
        self.still = asyncio.Lock()
        """Held by whoever needs the model to stay as it is, and by whoever changes it."""
        self._begin = begin

    def look(self, rows: int, look: Callable[[], Found], then: Callable[[Found], None]) -> None:
        """Call `look`, which only reads the model, and then `then` in the event loop with what it found; at
        once where it looks at few `rows`."""
        if rows <= AT_ONCE:
            then(look())
        else:
            self._begin(self._aside(look, then))

    async def _aside(self, look: Callable[[], Found], then: Callable[[Found], None]) -> None:
        async with self.still:
            found = await asyncio.to_thread(look)
        then(found)
