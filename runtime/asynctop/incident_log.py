"""What went wrong, for consoles."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterable

from asynctop.news_log import NewsLog
from asynctop.stacks import Frame
from asynctop_protocol import Incident, Incidents


class IncidentLog(NewsLog[Incident]):
    """Incidents, by what happened and where."""

    message = Incidents

    def note(
        self,
        type_: str,
        place: Hashable,
        stack: Iterable[Frame],
        *,
        name: str,
        text: str = "",
        task: int = 0,
        loop: int = 0,
    ) -> None:
        """It has happened, at `place`: what has that in common is counted. On any thread."""
        frames, now = list(stack), time.monotonic_ns()
        self.put(
            (type_, place),
            lambda id, count, _: Incident(id, type_, task, 0, loop, name, now, count, text, frames),
            (frames,),
        )
