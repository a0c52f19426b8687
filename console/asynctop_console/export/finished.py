"""The stalls of a recording, each once: the model holds the last ones only, those that go on among them."""

from __future__ import annotations

from asynctop_console.model import Frame, Model, short, users_frame
from asynctop_protocol.messages import Stall


class FinishedStalls:
    """Those not taken yet; without those that were over before a time. A program tells a new console of its
    last ones, however long ago they were."""

    def __init__(self, since_ns: int = 0) -> None:
        self._since_ns = since_ns
        self._taken: set[int] = set()

    def take(self, model: Model, *, ongoing: bool = False) -> list[Stall]:
        """Those that are over by now, oldest first; at the end, those that are `ongoing`, too."""
        stalls = model.stalls
        # A console that connects anew is told of the last ones anew; of those forgotten it is not.
        self._taken &= {stall.id for stall in stalls}
        found = [
            stall
            for stall in stalls
            if (ongoing or not stall.ongoing)
            and stall.started_ns + stall.duration_ns >= self._since_ns
            and stall.id not in self._taken
        ]
        self._taken.update(stall.id for stall in found)
        return found


def what(stall: Stall) -> str:
    """What held the loop up, and where: "time.sleep in load() at app/web.py:44"."""
    frame = users_frame(stall.stack)
    doing = stall.callee or stall.cause.name.lower()
    return f"{doing} {in_(frame)}" if frame else doing


def in_(frame: Frame) -> str:
    """ "in load() at app/web.py:44"."""
    function, file, line = frame
    return f"in {function}() at {short(file, line)}"
