"""The model: folds the messages of one runtime into tables that lints and views read."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain as joined

import numpy as np

from asynctop_console.clean import clean, clean_hello
from asynctop_console.model import limits
from asynctop_console.model.cancellations import Cancellations
from asynctop_console.model.columns import clipped
from asynctop_console.model.growth import Growth
from asynctop_console.model.kinds import KindTable
from asynctop_console.model.landings import Landings
from asynctop_console.model.loops import LongTurns, Loop, Meters, loops_of
from asynctop_console.model.past import Past
from asynctop_console.model.stalls import KeptStalls, clean_stall
from asynctop_console.model.tasks import TaskTable
from asynctop_console.model.text import Texts as TextTable
from asynctop_console.model.text import clean_frames
from asynctop_console.model.waits import NOBODY, Waits
from asynctop_console.model.watched import WatchedTasks
from asynctop_protocol.messages import (
    Cancellations as Landed,
)
from asynctop_protocol.messages import (
    Chain,
    Chains,
    Ended,
    Hello,
    Histograms,
    History,
    Incident,
    Incidents,
    Kinds,
    Loops,
    Message,
    Named,
    Polled,
    Problem,
    Reset,
    Spawned,
    Stall,
    Stalls,
    State,
    Texts,
    Tick,
    Totals,
)

_USUAL_THRESHOLD_NS = 50_000_000


class Model:
    """Everything the console knows about one monitored program.

    `fold` is the only way in. Whatever a runtime sends and in whatever order, it raises `ProtocolError` and
    nothing else, and memory stays bounded (see limits.py); what refers to something never announced is shown
    as unknown or ignored. All of it is consistent as of `now_ns` right after a `Tick` was folded. Times are
    nanoseconds of the target's monotonic clock.

    Answers to requests below 0 tell how cancellations go, and change nothing of who waits for whom.

    A new `Hello` of the same process (a reconnect) keeps what is known until the new state has arrived;
    that of another process begins afresh.
    """

    def __init__(self, past: Past | None = None) -> None:
        """`past` is what a model of the same program, as of another moment of its recording, knew of it."""
        self.hello: Hello | None = None
        self._forget()
        if past is not None:
            self.past = past

    def __getstate__(self) -> dict[str, object]:
        """All but the past is pickled: it only grows, and who unpickles gives it (`EarlierPast`)."""
        state = self.__dict__.copy()
        del state["past"]
        return state

    def _forget(self) -> None:
        self.now_ns = 0
        """Time of the last tick."""
        self.observed_from_ns = 0
        """Time of the first tick."""
        self.ticks = 0
        """Ticks so far: the model has changed if this has."""
        self._texts = TextTable()
        self.tasks = TaskTable()
        """Another object after a `Reset` and its tick, so take it from here each time."""
        self.kinds = KindTable(self._texts)
        self.loops: list[Loop] = []
        self.meters = Meters()
        self.turns = LongTurns()
        self.growth = Growth()
        self.past = Past()
        """What loops and kinds did in the last hours."""
        self.watched = WatchedTasks()
        """The history of those that the runtime was asked to watch."""
        self.chains: dict[int, Chain] = {}
        """The last chain read of each task, by task id."""
        self._read: dict[int, tuple[int, int]] = {}
        """When each of `chains` came: (request, time of the tick before); the same keys in the same order."""
        self._heard_ns = 0
        self._complete = False
        self._pictured = 0
        self._waits = NOBODY
        self.cancellations = Cancellations()
        self.landings = Landings()
        """Who requested them, and where they were raised."""
        self.answered = 0
        """The latest `Inspect` request whose last slice has arrived."""
        self.dropped: dict[str, int] = {}
        """What was lost on the way, by name."""
        self.faults: list[str] = []
        """Hooks that failed and were switched off, a line each."""
        self.problem = ""
        """Why the runtime is about to close the connection."""
        self._stalls = KeptStalls()
        self._incidents: dict[int, Incident] = {}
        self._incoming: TaskTable | None = None

    @property
    def stalls(self) -> list[Stall]:
        """The stalls kept, oldest first."""
        return self._stalls.all()

    @property
    def incidents(self) -> list[Incident]:
        """The incidents kept, by when each was first seen."""
        return list(self._incidents.values())

    @property
    def waits(self) -> Waits:
        """Who waits for whom and for what: the picture that the last inspection gave, the same object until
        the next. Empty where that is so long ago that nobody can vouch for it."""
        return NOBODY if self.now_ns - self._heard_ns > limits.PICTURE_NS else self._waits

    def text(self, number: int) -> str:
        """The text with this number, "" where it was never announced."""
        return self._texts[number]

    def texts_holding(self, word: str) -> list[int]:
        """The numbers of the texts in which this word stands, whatever its case."""
        return self._texts.holding(word)

    @property
    def stall_threshold_ns(self) -> int:
        """From when on a poll is a stall, as the runtime says, or as it does where nobody has set it."""
        return (self.hello.stall_threshold_ns if self.hello else 0) or _USUAL_THRESHOLD_NS

    def task_name(self, task: int) -> str:
        """What a task is called: its name, else its kind's, else "task" and its id."""
        row = self.tasks.row(task)
        name = "" if row is None else self.tasks.name(row) or self.kinds.label(int(self.tasks.kind[row]))
        return name or f"task {task}"

    def loop(self, loop_id: int) -> Loop | None:
        """The loop with this id, None where it is not known."""
        return next((loop for loop in self.loops if loop.id == loop_id), None)

    def fold(self, message: Message) -> None:
        """Take in one message. ProtocolError where it is beyond what the console takes."""
        tasks = self.tasks if self._incoming is None else self._incoming
        match message:
            case Polled():
                tasks.polled(message)
            case Spawned():
                tasks.spawned(message)
            case Named():
                tasks.named(message)
            case Ended():
                tasks.ended(message)
                for task in message.id if self.chains else ():
                    self.chains.pop(task, None)
                    self._read.pop(task, None)
            case Texts():
                self._texts.add(message.first, message.texts)
            case Kinds():
                self.kinds.announced(message)
            case History():
                self.watched.polled(message)
            case Histograms():
                self.watched.counted(message, tasks)
            case Totals():
                self.kinds.summed(message)
            case Loops():
                threads = {loop.id: loop.thread for loop in self.loops}
                # One that is closed is no longer in a thread, and was in one.
                self.loops = [
                    loop if loop.thread else replace(loop, thread=threads.get(loop.id, ""))
                    for loop in loops_of(message)
                ]
            case Stalls():
                self._stalled(message)
            case Incidents():
                self._happened(message)
            case Landed():
                self.landings.landed(message.cancellations)
            case Chains():
                self._inspected(message)
            case Tick():
                self._ticked(message)
            case Reset():
                self._incoming = TaskTable()
            case Hello():
                self._greeted(message)
            case Problem():
                self.problem = clean(message.text)
            case _:
                pass  # What only a console sends.

    def _greeted(self, hello: Hello) -> None:
        if self.hello and not same_program(self.hello, hello):
            self._forget()
        self._incoming = None
        self.problem = ""
        self.hello = clean_hello(hello)

    def _ticked(self, tick: Tick) -> None:
        self.now_ns = max(self.now_ns, clipped(tick.at_ns))
        anew = self._incoming is not None or not self.ticks
        if self._incoming is not None:
            # Swapped whole, so that nobody sees a half-filled table.
            self._incoming.generation = self.tasks.generation + 1
            self.tasks, self._incoming = self._incoming, None
        if not self.ticks:
            self.observed_from_ns = self.now_ns
        self.ticks += 1
        self.tasks.evict()
        self.tasks.mark(self.now_ns, anew)
        self.cancellations.settle(self.tasks, self.now_ns)
        # The first answer is shown as it comes, in ever larger steps.
        if self._complete or (not self.answered and len(self.chains) > 2 * self._pictured):
            self._complete = False
            self.picture()
        self.meters.sample(self.now_ns, self.loops)
        self.turns.sample(self.now_ns, self.loops)
        self.growth.sample(self.now_ns, self.kinds.live, self.kinds.spawned)
        self.past.sample(self.now_ns, self.loops, self.kinds, self.tasks)
        self.dropped = _numbers(tick.dropped)
        self.faults = [clean(fault) for fault in tick.faults[: limits.NOTES]]

    def picture(self) -> None:
        """Join the chains that have come so far to `waits`, though more are on their way.

        What came with the latest request belongs together. Of chains read before, only those still hold whose
        tasks have not been polled since.
        """
        self._pictured, self._heard_ns = len(self.chains), self.now_ns
        if not self.chains:
            return
        tasks, count = self.tasks, len(self.chains)
        rows = tasks.rows_of(np.fromiter(self.chains, np.int64, count))
        read = np.fromiter(joined.from_iterable(self._read.values()), np.int64, 2 * count).reshape(count, 2)
        idle_ns = np.zeros(count, np.int64)
        hold = rows >= 0
        if tasks.rows:
            since_ns = tasks.since_ns[rows]
            idle = tasks.in_state(State.IDLE, rows)
            hold &= ~tasks.in_state(State.DONE, rows)
            hold &= (read[:, 0] == read[:, 0].max()) | (since_ns <= read[:, 1])
            idle_ns = np.where(idle, np.maximum(self.now_ns - since_ns, 0), 0)
        kept = zip(self.chains.items(), idle_ns.tolist(), hold.tolist(), strict=True)
        found = [(task, chain, idle) for (task, chain), idle, holds in kept if holds]
        self._waits = Waits(
            {task: chain for task, chain, _ in found}, {task: idle for task, _, idle in found}, self.now_ns
        )

    def _stalled(self, message: Stalls) -> None:
        for stall in message.stalls:
            self._stalls.put(clean_stall(stall))

    def _happened(self, message: Incidents) -> None:
        for incident in message.incidents:
            self._incidents[incident.id] = replace(
                incident,
                type=clean(incident.type),
                task=clipped(incident.task),
                kind=clipped(incident.kind),
                name=clean(incident.name),
                loop=clipped(incident.loop),
                at_ns=clipped(incident.at_ns),
                count=clipped(incident.count),
                text=clean(incident.text),
                stack=clean_frames(incident.stack),
            )
            if len(self._incidents) > limits.INCIDENTS:
                del self._incidents[next(iter(self._incidents))]

    def _inspected(self, message: Chains) -> None:
        if message.request < 0:
            for chain in message.chains:
                self.cancellations.looked(replace(chain, frames=clean_frames(chain.frames)), self.now_ns)
            return
        self._heard_ns = self.now_ns
        for chain in message.chains:
            waiting = chain.waiting_on
            if waiting is not None:
                waiting = replace(
                    waiting,
                    type=clean(waiting.type),
                    description=clean(waiting.description),
                    holder=clipped(waiting.holder),
                    attributes=_numbers(waiting.attributes),
                )
            # Taken out first, so that the order stays that of the last answers.
            self.chains.pop(chain.task, None)
            self._read.pop(chain.task, None)
            self._read[chain.task] = message.request, self.now_ns
            kept = self.chains[chain.task] = replace(
                chain,
                frames=clean_frames(chain.frames),
                waiting_on=waiting,
                awaits=list(chain.awaits),
                holds=[
                    replace(held, type=clean(held.type), description=clean(held.description))
                    for held in chain.holds[: limits.NOTES]
                ],
            )
            self.cancellations.looked(kept, self.now_ns)
            if len(self.chains) > limits.CHAINS:
                del self.chains[next(iter(self.chains))]
                del self._read[next(iter(self._read))]
        if message.done:
            self.answered = max(self.answered, message.request)
            self._complete = True


def same_program(one: Hello, other: Hello) -> bool:
    """Whether it is the same process that greets."""
    return (one.pid, one.started_at_ns) == (other.pid, other.started_at_ns)


def _numbers(numbers: dict[str, int]) -> dict[str, int]:
    return {clean(name): clipped(number) for name, number in list(numbers.items())[: limits.NOTES]}
