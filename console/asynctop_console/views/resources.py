"""Screen 5: what tasks wait for and hold: locks, queues, executors. And the page of one of them."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from asynctop_console.model import Model, Resource, Waits, users_frame
from asynctop_console.model.landings import place
from asynctop_console.model.times import duration
from asynctop_console.snapshot import Json, resource_json
from asynctop_console.views.cells import age_text, ago, count
from asynctop_console.views.columns import Cell, Column
from asynctop_console.views.filter import Coded, Fields, Number, Text, one_each
from asynctop_console.views.frame import Frame
from asynctop_console.views.inspection import ALL
from asynctop_console.views.keys import bindings
from asynctop_console.views.line import Piece
from asynctop_console.views.lines import TextLine
from asynctop_console.views.links import attributes_text, idle_ns, task_pieces, waiting_line, waiting_lines
from asynctop_console.views.list import ListRows, ListScreen, column
from asynctop_console.views.order import Ids
from asynctop_console.views.page import Page, heading, labelled, stack_lines
from asynctop_protocol.messages import Cancellation, State

ASKING = "Asking the program what its tasks wait for. Its event loop answers as soon as it is free."
"""What is said before the first answer."""

_MOST_TASKS = 200


class ResourceRecord(NamedTuple):
    """What the columns show of one resource."""

    resource: Resource
    holder: str
    since_ns: int
    """Since when the first in the queue has been waiting, 0 where nobody is."""
    longest_ns: int


class ResourceRows(ListRows[ResourceRecord]):
    """The resources of a picture as rows."""

    def __init__(self) -> None:
        super().__init__()
        self._of: tuple[Waits, int] | None = None
        self._ids: Ids = np.empty(0, np.int64)
        self._resources: list[Resource] = []
        self._since_ns: NDArray[np.int64] = np.empty(0, np.int64)

    def resources(self, frame: Frame) -> list[Resource]:
        """All resources by ascending id, worked out once for each picture; and timeouts that fired."""
        model = frame.model
        of = model.waits, model.landings.version
        if self._of is None or of[0] is not self._of[0] or of[1] != self._of[1]:
            self._of = of
            found = {**model.waits.resources, **fired(model)}
            self._resources = [found[id] for id in sorted(found)]
            self._ids = column(each.id for each in self._resources)
            self._since_ns = _waiting_since(frame.model, self._resources)
        return self._resources

    def ids(self, frame: Frame) -> Ids:
        """Their numbers."""
        self.resources(frame)
        return self._ids

    def longest_ns(self, frame: Frame) -> NDArray[np.int64]:
        """For how long somebody has been waiting for each, 0 where nobody is."""
        self.resources(frame)
        return np.where(self._since_ns > 0, np.maximum(frame.now_ns - self._since_ns, 0), 0)

    def look(self, frame: Frame, rows: NDArray[np.intp]) -> list[ResourceRecord]:
        """The records of these resources."""
        resources, longest = self.resources(frame), self.longest_ns(frame)
        return [
            ResourceRecord(
                resources[row],
                holders_text(frame.model, resources[row]),
                int(self._since_ns[row]),
                int(longest[row]),
            )
            for row in rows.tolist()
        ]

    def ground(self, record: ResourceRecord) -> str:
        """All alike."""
        return "ground"


def fired(model: Model) -> dict[int, Resource]:
    """The timeouts that fired, by where they were set and what they interrupted, as resources of their own:
    below 0 by number."""
    return {
        -landing.id: Resource(
            -landing.id, "timeout", _fired_text(landing), attributes={"fired": landing.count}
        )
        for landing in model.landings.timeouts
    }


def _fired_text(landing: Cancellation) -> str:
    inner = users_frame(landing.stack)
    interrupted = f", interrupts {inner[0]}() at {place(landing.stack)}" if inner else ""
    return f"at {place(landing.timeout)}{interrupted}"


def _waiting_since(model: Model, resources: list[Resource]) -> NDArray[np.int64]:
    """Since when the first in each queue has been waiting, 0 where nobody is."""
    tasks = model.tasks
    since = np.zeros(len(resources), np.int64)
    queued = [index for index, each in enumerate(resources) if each.waiters]
    if not queued or not tasks.rows:
        return since
    rows = tasks.rows_of(column(task for index in queued for task in resources[index].waiters))
    waiting = (rows >= 0) & tasks.in_state(State.IDLE, rows)
    each_since = np.where(waiting, tasks.since_ns[rows], np.iinfo(np.int64).max)
    starts = np.cumsum([0] + [len(resources[index].waiters) for index in queued[:-1]])
    first = np.minimum.reduceat(each_since, starts)
    since[queued] = np.where(first < np.iinfo(np.int64).max, first, 0)
    return since


def holders_text(model: Model, resource: Resource) -> str:
    """The holder's name, "" where there is none; of several the first and how many more."""
    if not resource.holders:
        return ""
    name = model.task_name(resource.holders[0])
    more = len(resource.holders) - 1
    return f"{name} and {more} more" if more else name


class ResourcesScreen(ListScreen[ResourceRecord]):
    """The list of resources."""

    KEYS_OF = "resources"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("resources")]

    rows: ResourceRows

    def __init__(self) -> None:
        rows = ResourceRows()

        def texts(frame: Frame, what: str) -> Coded:
            resources = rows.resources(frame)
            if what == "holder":
                return one_each([holders_text(frame.model, each) for each in resources])
            return one_each([str(getattr(each, what)) for each in resources])

        def text(what: str) -> Text:
            return Text(lambda f: texts(f, what))

        def waiters(frame: Frame) -> NDArray[np.int64]:
            return column(len(each.waiters) for each in rows.resources(frame))

        columns: tuple[Column[ResourceRecord], ...] = (
            Column(
                "type",
                "type",
                11,
                lambda r: Cell(r.resource.type, "accent"),
                lambda f: texts(f, "type").ranks(),
            ),
            Column(
                "description",
                "what",
                16,
                lambda r: Cell(r.resource.description, "text"),
                lambda f: texts(f, "description").ranks(),
                grow=3,
                most=90,
            ),
            Column(
                "holder",
                "held by",
                12,
                lambda r: Cell(r.holder or "-", "name" if r.holder else "faint"),
                lambda f: texts(f, "holder").ranks(),
                grow=2,
                most=40,
            ),
            Column(
                "waiters",
                "waiters",
                8,
                lambda r: Cell(count(len(r.resource.waiters)), "strong" if r.resource.waiters else "faint"),
                waiters,
                "right",
                descending=True,
            ),
            Column("longest", "longest", 8, _longest, rows.longest_ns, "right", descending=True),
            Column(
                "attributes",
                "attributes",
                19,
                lambda r: Cell(attributes_text(r.resource.attributes), "muted"),
                grow=2,
                leaves=5,
            ),
        )
        fields: Fields = {
            "type": text("type"),
            "what": text("description"),
            "holder": text("holder"),
            "waiters": Number(waiters),
            "longest": Number(rows.longest_ns, time=True),
        }
        super().__init__(columns, rows, "longest", fields)

    def inspected(self) -> tuple[int, ...]:
        """Everything anybody waits for."""
        return ALL

    def total(self, frame: Frame) -> tuple[int, str]:
        """How many there are, and what they are called."""
        return len(self.rows.resources(frame)), "resources"

    def empty(self, frame: Frame) -> str:
        """What to say where nothing is waited for, or nobody has asked yet."""
        if frame.model.waits:
            return "No resources: no task waits for a lock, a queue or the like, or holds one."
        return ASKING

    def open_row(self, id: int) -> None:
        """Who holds it and who waits for it."""
        self.console.show_resource(id)

    def name_of(self, frame: Frame, id: int) -> str:
        """The description."""
        resource = frame.model.waits.resources.get(id)
        return resource.description if resource is not None else ""

    def json_of(self, frame: Frame, id: int) -> Json | None:
        """The resource."""
        resource = frame.model.waits.resources.get(id)
        return resource_json(resource) if resource is not None else None


def _waited(frame: Frame, resource: Resource) -> list[TextLine]:
    """For how long its waiters have been waiting by now."""
    waited = [idle_ns(frame, task) for task in resource.waiters]
    if not waited:
        return []
    longest = Piece(f"the longest for {duration(max(waited))}")
    return [labelled("waited", longest, Piece(f", all together {duration(sum(waited))}", "muted"))]


def _longest(record: ResourceRecord) -> Cell:
    ns = record.longest_ns
    return Cell(age_text(ns), "warn" if ns >= 10**9 else "text") if record.since_ns else Cell("-", "faint")


class ResourceDetail(Page):
    """Who holds a resource, since which line, and who waits for it; Enter goes to each."""

    def __init__(self, resource: int) -> None:
        super().__init__()
        self.about = resource
        self._known: Resource | None = None

    def inspected(self) -> tuple[int, ...]:
        """Whoever waits for it."""
        return ALL

    def copied(self, frame: Frame) -> str:
        """The description."""
        return self._known.description if self._known is not None else ""

    def lines(self, frame: Frame) -> list[TextLine]:
        """All about the resource."""
        waits, width = frame.model.waits, self.app.size.width
        resource = waits.resources.get(self.about)
        if self.about < 0:
            return self._timeout(frame, width)
        if resource is None:
            idle = self._known
            name = f"{idle.type} {idle.description}" if idle is not None else "It"
            return self.gone(f"{name}: nobody waits for it or holds it any more.")
        self._known = resource
        lines = [
            TextLine((Piece(f" {resource.description}", "strong"), Piece(f"  {resource.type}", "muted"))),
            labelled("attributes", Piece(attributes_text(resource.attributes) or "none known", "text")),
            *_waited(frame, resource),
            *heading(f"Holders: {len(resource.holders):,}, and where each took it"),
        ]
        for task in resource.holders[:_MOST_TASKS]:
            held = waits.holding(task, self.about)
            lines.append(waiting_line(frame, task, width, upto=held.frame + 1 if held is not None else None))
        lines += heading(f"Waiters: {len(resource.waiters):,}, and where each waits")
        lines += waiting_lines(frame, resource.waiters, width, most=_MOST_TASKS)
        return lines

    def _timeout(self, frame: Frame, width: int) -> list[TextLine]:
        """A timeout that fired, and what it has interrupted."""
        found = [each for each in frame.model.landings.timeouts if each.id == -self.about]
        if not found:
            return self.gone("This timeout is no longer known.")
        (landing,) = found
        self._known = fired(frame.model)[self.about]
        last = ago(max(frame.now_ns - landing.landed_ns, 0))
        lines = [
            TextLine((Piece(f" {self._known.description}", "strong"), Piece("  timeout", "muted"))),
            labelled("fired", Piece(f"{landing.count:,} times, the last one {last}")),
            *heading("Where it was set"),
            *stack_lines(landing.timeout, width),
            *heading("What it interrupted, the last time"),
            *stack_lines(landing.stack, width),
            *heading(f"Tasks, the last {len(landing.tasks)}"),
        ]
        for task in reversed(landing.tasks):
            lines.append(labelled("", *task_pieces(frame, task), goal=task))
        return lines
