"""Every message that crosses the wire, and the numbers it is made of.

A connection opens with one `Hello` each way. After that a console sends `Subscribe`, `Inspect`, `Watch` and
`Trace`; a runtime sends facts (`Texts`, `Kinds`, `Spawned`, `Named`, `Polled`, `Ended`, `History`,
`Histograms`, `Totals`, `Loops`, `Stalls`, `Incidents`, `Cancellations`) and closes each batch with a `Tick`:
when a `Tick` has arrived, everything before it is consistent as of its time.

Three rules hold everywhere:

- Times are nanoseconds of the runtime's monotonic clock; `Hello` ties that clock to wall time once.
- Numbers are absolute (sums since the task or kind began), never increments: a missed batch loses nothing.
- Texts are sent once in `Texts` and referred to by number. Number 0 is "not known".

Rows travel as columns. A *column* of n integers is n signed little-endian integers of 1, 2, 4 or 8 bytes
each, sent with its width. All columns of one message have the same number of rows; only histograms have
lengths of their own.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

VERSION = (1, 0)
"""Protocol version (major, minor). Peers with another major number do not understand each other."""

Column: TypeAlias = Sequence[int]
"""Integers of one column: an `array.array` or a list where it is sent, a typed `memoryview` where it is
received."""


class State(enum.IntEnum):
    """Where a live task's time goes at the moment; `DONE` once it has ended."""

    IDLE = 0
    SCHEDULED = 1
    POLLING = 2
    DONE = 3


class Outcome(enum.IntEnum):
    """How a task ended."""

    RETURNED = 1
    RAISED = 2
    CANCELLED = 3
    DESTROYED = 4
    """The task object was collected while it was still pending."""
    UNKNOWN = 5
    """It ended where the recorder did not see it."""


class WakerSource(enum.IntEnum):
    """What made a task ready to run."""

    UNKNOWN = 0
    TASK = 1
    TIMER = 2
    IO = 3
    CALLBACK = 4
    THREAD = 5
    SIGNAL = 6


class LoopState(enum.IntEnum):
    """What a loop's thread is doing: in a poll or callback, past the stall threshold in one, waiting, or
    gone."""

    IDLE = 0
    RUNNING = 1
    STALLED = 2
    CLOSED = 3


class Cause(enum.IntEnum):
    """Why a poll took so long."""

    UNKNOWN = 0
    BLOCKING = 1
    """The thread waited: in a system call, a lock or a sleep."""
    CPU = 2
    """Python code ran all the while."""
    GIL = 3
    """C code held the interpreter's lock, so nobody else could run."""
    GC = 4
    """A garbage collection ran."""


class Role(enum.StrEnum):
    """Which end of the connection speaks."""

    RUNTIME = "runtime"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message each way. A console fills in `protocol`, `role` and (over TCP) `token` only."""

    role: Role
    protocol: tuple[int, int] = VERSION
    token: str = ""
    pid: int = 0
    argv: list[str] = field(default_factory=list)
    python: str = ""
    """Version of the monitored interpreter, as in "3.13.0"."""
    runtime: str = ""
    """"asyncio", "uvloop" or "trio"."""
    core: str = ""
    """Which recorder core keeps the statistics: "c" or "python"."""
    started_at_ns: int = 0
    """Wall time, nanoseconds since the epoch, at which the process's recorder was installed."""
    monotonic_ns: int = 0
    wall_ns: int = 0
    """The same instant on both clocks: the one anchor that turns the wire's times into wall time."""
    stall_threshold_ns: int = 0
    retained: int = 0
    """How many ended tasks the runtime keeps for consoles that connect later."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the sender is about to close the connection; `text` is one line for a person."""

    text: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Console: send batches this often from now on (the runtime may send fewer)."""

    interval_ns: int


@dataclass(frozen=True, slots=True)
class Inspect:
    """Console: read what these tasks are suspended on. Answered by `Chains`, in slices, with the same
    `request`."""

    request: int
    tasks: Column
    """Task ids; an empty column means every live task."""
    stranded: bool = False
    """Find out, too, which of them nobody can wake any more. It takes longer."""
    cancelled: bool = False
    """Only those whose cancellation has been requested and not withdrawn."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Console: tell of every poll of these tasks from now on, and of no other ones. Answered by `History` and
    `Histograms` in each batch."""

    tasks: Column
    """Task ids; those not known are passed over."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Console: tell of every poll of every task from now on, until one of us hangs up. Answered by `History`
    in each batch."""

    after: int = 0
    """Number of the last poll that another connection has told: go on with the next one, if it is still
    there. 0: begin with what begins now. Below 0: with all that are still there, where somebody traces
    already."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Forget every task: this batch holds all there are. Sent first, and to a console that fell too far
    behind."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Numbers `first`, `first + 1`, ... now stand for these texts."""

    first: int
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Kinds numbered `first`, `first + 1`, ...: a coroutine function and the line that spawns it. All text
    columns hold text numbers."""

    first: int
    name: Column
    """Qualified name of the coroutine function."""
    defined_file: Column
    defined_line: Column
    spawned_file: Column
    """0 where the spawn was not seen: the task was there before the recorder."""
    spawned_line: Column


@dataclass(frozen=True, slots=True)
class Spawned:
    """What never changes about a task. Sent once per task, before anything else about it."""

    id: Column
    """Counts up from 1 and is never used again within a process."""
    kind: Column
    loop: Column
    parent: Column
    """Id of the task that spawned it, 0 where no task did."""
    created_ns: Column


@dataclass(frozen=True, slots=True)
class Named:
    """Tasks' names, as set by the program; sent again when one changes."""

    id: Column
    names: list[str]


@dataclass(frozen=True, slots=True)
class Polled:
    """What changes while a task lives."""

    id: Column
    state: Column
    """`State`."""
    since_ns: Column
    """Since when it is in that state."""
    polls: Column
    """Finished polls."""
    busy_ns: Column
    scheduled_ns: Column
    max_poll_ns: Column
    wakes: Column
    self_wakes: Column
    waker_source: Column
    """`WakerSource` of the last wake."""
    waker_task: Column
    """Id of the task that did the last wake, else 0."""
    waker_name: Column
    """Text number: the callback, timer or I/O handler that did it, else 0."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Tasks that ended; their last `Polled` row came before."""

    id: Column
    outcome: Column
    """`Outcome`."""
    ended_ns: Column
    exception: Column
    """Text number of "Type: text", 0 where none was raised."""


@dataclass(frozen=True, slots=True)
class History:
    """Finished polls since the last batch, in the order in which they ended: of watched tasks, task by task,
    or, where there is a trace, of all of them. Those that the runtime could not keep until the batch are
    counted in `Tick.dropped`, as "history" or "trace"."""

    task: Column
    woken_ns: Column
    waker_source: Column
    """`WakerSource` of the wake that led to the poll."""
    waker_task: Column
    """Id of the task that did the wake, else 0."""
    waker_name: Column
    """Text number: the callback, timer or I/O handler that did it, else 0."""
    started_ns: Column
    ended_ns: Column
    first: int = 0
    """In a trace, the number of the first of these polls; the others follow it. 0: of watched tasks. A
    traced poll may be of a task that came and went without ever having been sent."""
    yielded_file: Column = ()
    """Where the poll yielded: the user's innermost line that the task was suspended in then, else the
    innermost of all. Text number; 0 where the task ended in that poll. Not told in traces."""
    yielded_line: Column = ()


@dataclass(frozen=True, slots=True)
class Histograms:
    """Polls of watched tasks by duration, and by how long the task waited for them. They count from a task's
    17th poll on, or from when it was watched first. Buckets are those of `Totals.histograms`. A runtime may
    save memory where that leaves the quantiles right: gather what is below 64 ns in one bucket, count large
    numbers roughly, and count in a higher bucket what hardly ever comes."""

    task: Column
    max_scheduled_ns: Column
    """Longest wait among those counted."""
    polls: list[Column]
    scheduled: list[Column]


@dataclass(frozen=True, slots=True)
class Totals:
    """Exact sums per kind over every task ever spawned, whatever was evicted or never sent."""

    kind: Column
    spawned: Column
    returned: Column
    raised: Column
    cancelled: Column
    destroyed: Column
    unknown: Column
    """Ended unseen. Live tasks are `spawned` less all the others."""
    polls: Column
    busy_ns: Column
    scheduled_ns: Column
    max_poll_ns: Column
    histograms: list[Column]
    """Per kind, its polls by duration: bucket b counts those with 2**((b-1)/2) <= ns < 2**(b/2), bucket 0
    those of 0 ns."""


@dataclass(frozen=True, slots=True)
class Loops:
    """Every loop seen, one row each. All rows are sent each time."""

    id: Column
    thread: list[str]
    runtime: list[str]
    state: Column
    """`LoopState`."""
    polls: Column
    callbacks: Column
    busy_ns: Column
    """Time in polls and callbacks, finished ones."""
    max_lag_ns: Column
    """Longest time a woken task waited for its poll since the last `Tick`."""
    max_lag_ever_ns: Column
    current_task: Column
    """Id of the task being polled, else 0."""
    current: list[str]
    """Name of what is running: the task's or the callback's; empty when idle."""
    current_since_ns: Column
    turns: Column = ()
    """How often the loop has looked for timers and I/O, and then run what was ready: that is a turn."""
    max_turn_ns: Column = ()
    """Time in polls and callbacks of the turn that had most of it since the last `Tick`, the one going on
    included."""
    max_turn_ever_ns: Column = ()
    max_turn_since_ns: Column = ()
    """When that of `max_turn_ns` began; what follows is about the same turn."""
    max_turn_polls: Column = ()
    """Polls and callbacks in it."""
    max_turn_poll_ns: Column = ()
    """The longest of them."""
    max_turn_kind: Column = ()
    """The kind that took most of it; 0 for callbacks."""
    timers: Column = ()
    """Timers set so far."""
    timers_fired: Column = ()
    timer_kind: Column = ()
    """Who sets most of the timers: a kind, 0 for callbacks."""
    timer_file: Column = ()
    """Text number; 0 where it is not known yet."""
    timer_line: Column = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stall: the samples that found the same stack."""

    samples: int
    callee: str
    """What the innermost frame was calling, as in `Stall`."""
    shared: int
    """How many of the outermost frames are those of `Stall.stack`."""
    rest: list[tuple[str, str, int]]
    """The other frames, (function, file, line), outermost first."""


@dataclass(frozen=True, slots=True)
class Stall:
    """One poll or callback past the threshold. Sent again with the same id while it lasts and once when it
    ends."""

    id: int
    task: int
    """0 for a loop callback."""
    kind: int
    """0 for a loop callback."""
    name: str
    loop: int
    started_ns: int
    duration_ns: int
    """So far, where `ongoing`."""
    ongoing: bool
    cause: Cause
    samples: int
    """How often the stack was read; 0 where nobody could look while it ran."""
    stack: list[tuple[str, str, int]]
    """(function, file, line), outermost first: the stack seen most often."""
    callee: str = ""
    """The C function that its innermost frame was calling, as in "time.sleep" or
    "sqlite3.Connection.execute"; empty where there is none, or it is not known. Where garbage was collected:
    "gc.collect(2)", the 2 being the generation."""
    coroutine: str = ""
    """Qualified name of the innermost of the user's own coroutine functions in that stack; may be empty."""
    poll: int = 0
    """The number of the poll within its task's life, 1 being the first; 0 where it is not known."""
    last: bool = False
    """Whether the task ended in this poll."""
    parts: list[Part] = field(default_factory=list)
    """The stacks seen, those seen most often, most often first; empty where none was seen."""


@dataclass(frozen=True, slots=True)
class Stalls:
    """Stalls that began, went on or ended since the last batch."""

    stalls: list[Stall]


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong, as the interpreter, the event loop or a hook noticed: a coroutine that
    nobody awaited, a callback given to a loop by a foreign thread. Not a matter of time, as a stall is. What
    happens again at the same place is sent again with the same id and a higher count."""

    id: int
    type: str
    """What happened: the name of a lint, as in "coroutine-never-awaited"."""
    task: int
    """The task it happened to the last time, 0 for none."""
    kind: int
    loop: int
    name: str
    """The task's, coroutine's or callback's name."""
    at_ns: int
    """The last time."""
    count: int
    text: str
    """What there is to say, as in "ValueError: no such user"; may be empty."""
    stack: list[tuple[str, str, int]]
    """(function, file, line), outermost first: where it happened; may be empty."""


@dataclass(frozen=True, slots=True)
class Incidents:
    """Incidents since the last batch."""

    incidents: list[Incident]


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancellation has landed: it is raised where its task waits. Whether the task then ends is told
    elsewhere. What happens again at the same place, for the same reason, is sent again with the same id and a
    higher count."""

    id: int
    count: int
    tasks: Column
    """Ids of the tasks it happened to, the last of them at most, each once, newest last."""
    requested_ns: int
    """When it was requested, the last time; 0 where that is not known."""
    landed_ns: int
    """The last time."""
    source: int
    """`WakerSource` of who requested it."""
    by: int
    """Id of the task that did, else 0; of a timeout, the last time."""
    name: str
    """Of the callback or timer that did; may be empty."""
    by_stack: list[tuple[str, str, int]]
    """(function, file, line), outermost first: where that task was when it landed, the last time: mostly
    in the await that came after the request; may be empty."""
    stack: list[tuple[str, str, int]]
    """Where it landed."""
    timeout: list[tuple[str, str, int]]
    """Where the timeout was set that requested it, outermost first; empty for anything else."""


@dataclass(frozen=True, slots=True)
class Cancellations:
    """Cancellations that landed since the last batch."""

    cancellations: list[Cancellation]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a task is suspended on."""

    type: str
    """"timer", "lock", "event", "condition", "semaphore", "queue", "task", "future", ..."""
    id: int
    """The task's id where `type` is "task", else a number that is the same for the same object."""
    description: str
    holder: int = 0
    """Id of the task that holds it, where that is known."""
    attributes: dict[str, int] = field(default_factory=dict)
    """Its numbers, by name: a queue's size, a semaphore's permits."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a suspended task holds: it is inside of the resource's `with` or `async with` block, or has called
    its `acquire()`."""

    type: str
    """As in `Waiting`; "thread lock" for one of the `threading` module."""
    id: int
    """As in `Waiting`."""
    description: str
    frame: int
    """Which of the chain's frames holds it, from 0."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One task's await chain."""

    task: int
    frames: list[tuple[str, str, int]]
    """(function, file, line), outermost first: the innermost ones of a deep chain."""
    waiting_on: Waiting | None = None
    depth: int = 0
    """How many frames there are."""
    awaits: Column = field(default_factory=list)
    """Ids of the tasks it waits for, however indirectly: through `gather`, `wait`, a `TaskGroup`."""
    any_of: bool = False
    """Whether one of them is enough."""
    holds: list[Holding] = field(default_factory=list)
    cancelling: int = 0
    """Cancellations requested and not withdrawn."""
    cancellation_pending: bool = False
    """Whether the last one has yet to land: in the task's next poll, or first in a task that it waits for."""
    handles_cancellation: int = 0
    """Which cancellation has led to the `except` or `finally` block that it is inside of: a number that is
    the same for as long as it is the same one; 0 where there is none."""
    stranded: bool = False
    """Whether nothing that can still run refers to what it waits for. Sent in a second chain of the task."""
    held: bool = True
    """Whether anything refers to the task besides what it waits for; else the two may vanish together."""


@dataclass(frozen=True, slots=True)
class Chains:
    """A slice of the answer to `Inspect`; `done` on the last one."""

    request: int
    chains: list[Chain]
    done: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Closes a batch."""

    at_ns: int
    dropped: dict[str, int] = field(default_factory=dict)
    """What was lost on the way since the process began, by name; "history" is that of the tasks watched now,
    "trace" what this connection's trace has lost. Empty on a healthy run."""
    faults: list[str] = field(default_factory=list)
    """Hooks that failed and were switched off: one line each, for a person."""


Message: TypeAlias = (
    Hello
    | Problem
    | Subscribe
    | Inspect
    | Watch
    | Trace
    | Reset
    | Texts
    | Kinds
    | Spawned
    | Named
    | Polled
    | Ended
    | History
    | Histograms
    | Totals
    | Loops
    | Stalls
    | Incidents
    | Cancellations
    | Chains
    | Tick
)
