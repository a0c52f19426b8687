"""What a recorder core is: the seam between hooks, statistics and publisher.

Hooks hand events to a core; the publisher's thread asks the core for what changed, as frames ready to send.
How a core keeps its numbers in between is its own affair. The twins must agree on every number they report.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from types import CodeType, FrameType
from typing import Any, NamedTuple, Protocol

from asynctop_protocol import WakerSource

RETAINED = 2000
"""Ended tasks kept for consoles that connect later."""

EARNED = 16
"""Polls after which a task has histograms: most tasks end before."""

POLLS_KEPT = 2048
"""Polls of a watched task that are kept for the next batch: no message holds more."""

TRACED = 2**18 - 1
"""Polls of all tasks that are kept for the next batch while a console traces: ten megabytes of them, and more
than a second of the fastest programs."""

TRACED_SAFELY = TRACED // 8 * 7
"""Of them, the newest ones: the others may be overwritten before they are read."""

SOUGHT = 2000
"""Live tasks that are gone through to find one by its id."""


OWN_CALLBACK = "asynctop: "
"""How the names of callbacks begin by which we use a program's loop."""


class Patch(NamedTuple):
    """One attribute to replace while hooks are in place."""

    owner: Any
    attribute: str
    replacement: Any


class Running(NamedTuple):
    """A poll or callback: the one that a loop's thread is in, or one that was past the stall threshold."""

    loop: int
    """The loop's number."""
    task: int
    """0 for a callback."""
    kind: int
    """0 for a callback."""
    name: str
    since_ns: int
    thread: int
    """Identifier of the loop's thread, as in `sys._current_frames()`; 0 where it has ended."""
    took_ns: int
    """0 while it runs."""
    poll: int = 0
    """The poll's number within its task's life, from 1; 0 for a callback."""
    last: bool = False
    """Whether the task ended in it."""


class Wake(NamedTuple):
    """A task that its loop is polling, and the wake that led to it."""

    task: Any
    number: int
    """The task's id."""
    woken_ns: int
    source: int
    """`WakerSource`."""
    by: int
    """Id of the task that woke it, else 0."""
    name: str
    """Of the callback that did."""


class Look(NamedTuple):
    """The stall watcher's turn to look at the loops."""

    now_ns: int
    late_ns: int
    """How much later than meant to: others had the interpreter's lock, or the processors."""
    previous_ns: int
    """When the threads' clocks were read last."""
    busy: dict[int, int | None]
    """For how long each loop's thread was on a processor since then; None where that is not known."""


class ScheduledTask(Protocol):
    """A task of a scheduler that is not asyncio's: it answers what is asked of an `asyncio.Task`.

    Whoever reports on it keeps it until it has ended. Weak references to it can be made."""

    @property
    def _exception(self) -> BaseException | None:
        """What an ended task raised, other than its cancellation."""

    def get_coro(self) -> Any:
        """Its outermost coroutine."""

    def get_name(self) -> str:
        """Its name at this moment."""

    def done(self) -> bool:
        """Whether it has ended."""

    def cancelled(self) -> bool:
        """Whether it has ended by being cancelled."""

    def cancelling(self) -> int:
        """How many requests there are to cancel it."""

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Have `callback(task)` called when it has ended. Needed only of what is adopted."""

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Have it not called. Returns how often it would have been."""


class Cursor(Protocol):
    """How far one console has been told."""

    def frames(self, *, last: bool = True) -> Iterator[bytes]:
        """A batch: what the console must be told to be where the last drain was, as frames of the wire, with
        a `Tick` at last. To be exhausted, and sent in this order.

        Unless it is the last one, what takes too long to tell of a trace may be left out, and is counted."""

    def watch(self, tasks: Sequence[int]) -> None:
        """Tell of the polls of these tasks from now on, and of no other ones. Those not known are left
        out."""

    def trace(self, after: int | None) -> None:
        """Tell of every poll of every task from now on; of those after this number, where it is above 0; of
        all that are kept, where it is below 0. One that does so already goes on. None: no more."""


class Outlet(Protocol):
    """A console's outgoing half. Its socket belongs to whoever opened it."""

    def put(self, frames: bytes, *, last: bool = False) -> bool:
        """Send these frames between others; after the `last` ones nothing more is sent.

        Returns False where many others still wait. The bell rings when they have left."""

    def subscribe(self, interval_ns: int) -> None:
        """Send a batch now, and one every so often from now on."""

    def watch(self, tasks: Sequence[int]) -> None:
        """As the cursor's."""

    def trace(self, after: int) -> None:
        """As the cursor's."""

    def finish(self) -> None:
        """Send one batch more, of all that there is to tell by then, and then nothing. To be called of what
        was subscribed."""

    def finished(self) -> bool:
        """Whether nothing more is sent: the last frames have left, or the socket is broken."""

    def close(self) -> None:
        """Let go of the socket. To be called before that is closed."""


class Core(Protocol):
    """A recorder core. One at most is in use in a process.

    What the hooks call raises nothing of its own: a core reports what fails in it to the `on_fault` that it
    was made with, and the program's call goes on as if it were not there.
    """

    name: str
    """"c" or "python"."""
    sends: bool
    """Whether it drains and sends by itself, on a thread that needs no lock of the interpreter; else the
    publisher does."""

    # -- for the hooks, on the loops' threads --

    def loop_patches(self) -> Iterable[Patch]:
        """Replacements that make loops built on `BaseEventLoop` report task steps, callbacks and timers."""

    def wrap(self, loop: Any, callback: Callable[..., object], source: WakerSource) -> Callable[..., object]:
        """A callback to give to a loop that has handles of its own, in place of `callback`."""

    def wrapping(self, method: Callable[..., Any], position: int, source: WakerSource) -> Any:
        """What to put in place of a loop class's `method`, so that the loop gets what `wrap` gives for the
        callback: the argument at `position`, the loop's being 0, or the one named so."""

    def create_task(
        self, loop: Any, create: Callable[..., Any], coroutine: Any, kwargs: dict[str, Any]
    ) -> Any:
        """Call `create(coroutine, **kwargs)`, where a task factory may run the first poll at once."""

    def adopt(self, task: Any, loop: Any) -> None:
        """Begin the record of a task that was there before the hooks."""

    def release(self, loop: Any) -> None:
        """`loop` has been closed: let go of the steps it will never run."""

    def report_foreign_calls(self, report: Callable[[Any, Any], None] | None) -> None:
        """From now on call `report(loop, callback)` where a loop was given a callback or timer in another
        thread than the one it ran in last, other than by `call_soon_threadsafe`, and `report(loop, task)`
        where an eager one was made there; None: no more."""

    def restart(self) -> None:
        """The process has forked: forget everything, and begin anew."""

    def forget(self) -> None:
        """The hooks are gone: let go of everything. What still runs of ours leaves no mark from now on."""

    # -- for hooks of schedulers that are not asyncio's, on the threads that they run in --

    def opened(self, loop: Any, runtime: str, runs: CodeType) -> None:
        """A scheduler begins to run, until `release`.

        `loop` stands for it, an object of a plain class. `runs` is the code that runs the tasks' steps."""

    def scheduled(self, loop: Any, task: ScheduledTask, source: WakerSource) -> None:
        """A task was made ready to run: by the one whose poll is under way; where there is none, by `source`.

        Where this is the first time, the task was spawned, by what calls. One that was there before can be
        adopted."""

    def poll_begins(self, task: ScheduledTask) -> None:
        """Its next step is about to run. No other one of its scheduler's does."""

    def poll_ends(self, task: ScheduledTask) -> None:
        """That step has run. If the task has ended in it, it says so by now."""

    # -- for the stall watcher and the inspector --

    def begin_watch(self, period_ns: int) -> None:
        """From now on `watch` waits."""

    def watch(self) -> Look | None:
        """Wait for the next time to look, every period, or less often where there is nothing to see: no poll
        that has been running for a period, no long poll that ended. None once the watch has ended."""

    def end_watch(self) -> None:
        """Let `watch` return. On any thread."""

    def running(self) -> list[Running]:
        """What each loop's thread is in at this moment; idle loops are left out."""

    def long_polls(self) -> list[Running]:
        """Polls and callbacks past the threshold that ended since the last call."""

    def long_polls_wait(self) -> bool:
        """Whether `long_polls` has something to tell."""

    def loops(self) -> dict[int, Any]:
        """The open loops, by number."""

    def poll_frames(self, running: Running) -> list[FrameType]:
        """The frames of a poll or callback that runs, innermost first; none where it has ended."""

    def tasks_of(self, loop: int, wanted: Collection[int] = ()) -> Iterator[tuple[int, Hashable]]:
        """The loop's live tasks that are wanted, or all: their ids, and what `find` knows them by.

        To be taken a few at a time: there may be a million, and the loops must not wait."""

    def find(self, keys: Iterable[tuple[int, Hashable]]) -> list[tuple[int, Any]]:
        """Those that still live, with the task objects. On the thread of their loop only."""

    def identify(self, task: Any) -> int:
        """The id of a live task, 0 where it is not known."""

    def wake(self, loop: Any) -> Wake | None:
        """What the loop of this thread is polling, and who woke that; None where it is in no poll."""

    def task(self, number: int) -> Any:
        """The live task with this id; None where it has ended, or is not among the first `SOUGHT`. On the
        thread of its loop only."""

    # -- for the publisher's thread --

    def drain(self) -> None:
        """Take note of what changed."""

    def cursor(self) -> Cursor:
        """A cursor for a new console, at the beginning."""

    def tell_faults(self, faults: list[str]) -> None:
        """What each tick says of what has failed."""

    # -- where the core sends by itself --

    def start(self) -> None:
        """Begin to send, or go on after a pause. RuntimeError where there can be no more threads."""

    def stop(self) -> None:
        """End the thread; outlets wait."""

    def outlet(self, socket: int, bell: int) -> Outlet:
        """An outlet that the core serves: both are descriptors of sockets, and a byte written to the bell
        rings it."""
