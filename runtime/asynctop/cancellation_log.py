"""Cancellations that landed, for consoles."""

from __future__ import annotations

from dataclasses import replace

from asynctop.news_log import NewsLog
from asynctop.stacks import users_frame
from asynctop_protocol import Cancellation, Cancellations

MOST_TASKS = 100
"""Tasks that are told by id of those that were cancelled at one place."""


class CancellationLog(NewsLog[Cancellation]):
    """Cancellations, by where they landed, and who or what requested them."""

    message = Cancellations

    def note(self, task: int, landed: Cancellation) -> None:
        """It has landed in a task: its `id`, `count` and `tasks` are known here."""

        def told(id: int, count: int, before: Cancellation | None) -> Cancellation:
            others = [each for each in before.tasks if each != task] if before is not None else []
            return replace(landed, id=id, count=count, tasks=[*others[1 - MOST_TASKS :], task])

        stacks = landed.stack, landed.by_stack, landed.timeout
        # A timeout is one reason, whether its timer ran or its time was up before it was set.
        reason = users_frame(landed.timeout) if landed.timeout else (landed.source, landed.name, landed.by)
        self.put((reason, users_frame(landed.stack)), told, stacks)
