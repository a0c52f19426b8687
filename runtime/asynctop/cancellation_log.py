"""Cancellations that landed, for consoles."""

from __future__ import annotations

from dataclasses import dataclass

from asynctop.news_log import NewsLog
from asynctop.stacks import Frame, users_frame
from asynctop_protocol import Cancellation, Cancellations

MOST_TASKS = 100
"""Tasks that are told by id of those that were cancelled at one place."""


@dataclass(frozen=True, slots=True)
class Landing:
    """One cancellation that has landed; the fields as in `Cancellation`."""

    task: int
    requested_ns: int
    landed_ns: int
    source: int
    by: int
    name: str
    by_stack: list[Frame]
    stack: list[Frame]
    timeout: list[Frame]


class CancellationLog(NewsLog[Cancellation]):
    """Cancellations, by where they landed, and who or what requested them."""

    message = Cancellations

    def note(self, landing: Landing) -> None:
        """It has landed."""

        def told(id: int, count: int, before: Cancellation | None) -> Cancellation:
            others = [each for each in before.tasks if each != landing.task] if before is not None else []
            return Cancellation(
                id=id,
                count=count,
                tasks=[*others[1 - MOST_TASKS :], landing.task],
                requested_ns=landing.requested_ns,
                landed_ns=landing.landed_ns,
                source=landing.source,
                by=landing.by,
                name=landing.name,
                by_stack=landing.by_stack,
                stack=landing.stack,
                timeout=landing.timeout,
            )

        stacks = landing.stack, landing.by_stack, landing.timeout
        # A timeout is one reason, whether its timer ran or its time was up before it was set.
        reason = (
            users_frame(landing.timeout) if landing.timeout else (landing.source, landing.name, landing.by)
        )
        self.put((reason, users_frame(landing.stack)), told, stacks)
