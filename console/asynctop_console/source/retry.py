"""When to try again to reach a program that was lost. No clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

_DELAYS_S = (1.0, 2.0, 3.0, 5.0)
"""Short at first, for a program that hung up by mistake; the last one for all that follow."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often it has failed in a row, and so how long to wait."""

    tries: int = 0
    """Failures so far; the next attempt is this try."""

    def failed(self) -> Retry:
        """The state after one more failure."""
        return Retry(self.tries + 1)

    @property
    def delay_s(self) -> float:
        """Seconds to wait before the next attempt; 0 before the first."""
        return _DELAYS_S[min(self.tries, len(_DELAYS_S)) - 1] if self.tries else 0.0
