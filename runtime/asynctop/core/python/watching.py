"""The tasks that one console watches, and what it was told of their polls. The publisher's thread alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from asynctop.core.python.details import History, WatchedPoll, details_of
from asynctop.core.python.tasks import TaskRecord
from asynctop_protocol import MAX_WATCHED, Histograms


class Watched:
    """A task that a console watches."""

    def __init__(self, record: TaskRecord) -> None:
        self.record = record
        self.details = details = details_of(record)
        if details.history is None:
            details.history = History()
        self.history = details.history
        self.history.watchers += 1
        self.told = self.history.count - len(self.history.polls)
        """The number of the last poll that the console was told of."""
        self.lost = 0
        """Polls that had to make room before a batch had told of them."""
        self.told_polls = -1
        """How many the task had when its histograms were told."""

    def end(self) -> None:
        """The console watches it no more."""
        self.history.watchers -= 1
        if not self.history.watchers:
            self.details.history = None


class Watching:
    """What one console watches."""

    def __init__(self) -> None:
        self._watched: dict[int, Watched] = {}

    def watch(self, tasks: Sequence[int], records: Mapping[int, TaskRecord]) -> None:
        """These tasks from now on, and no other ones. What it watches already goes on."""
        before, self._watched = self._watched, {}
        for task in tasks[:MAX_WATCHED]:
            if task in before:
                self._watched[task] = before.pop(task)
            elif task in records and task not in self._watched:
                self._watched[task] = Watched(records[task])
        for watched in before.values():
            watched.end()

    def polls(self) -> list[tuple[int, WatchedPoll]]:
        """Those that the console has not been told of, each with its task's id."""
        found = []
        for task, watched in self._watched.items():
            polls = watched.history.since(watched.told)
            if polls:
                watched.lost += polls[0].number - watched.told - 1
                watched.told = polls[-1].number
                found += [(task, poll) for poll in polls]
        return found

    def lost(self) -> int:
        """Polls of the tasks watched now that were lost."""
        return sum(watched.lost for watched in self._watched.values())

    def histograms(self) -> Iterator[Histograms]:
        """Those that have changed, if there are any."""
        changed = []
        for watched in self._watched.values():
            polls = watched.record.polls
            if polls != watched.told_polls:
                watched.told_polls = polls
                changed.append(watched)
        if changed:
            yield Histograms(
                task=[watched.record.id for watched in changed],
                max_scheduled_ns=[watched.details.max_wait_ns for watched in changed],
                polls=[watched.details.polls[:] for watched in changed],
                scheduled=[watched.details.waits[:] for watched in changed],
            )
