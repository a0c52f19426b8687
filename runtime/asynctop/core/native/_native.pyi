"""The extension module, as Python sees it: its functions are those of module.c's table, in its order.

Most raise what their arguments deserve (TypeError, OverflowError) and nothing else; what fails in the
recording goes to `on_fault`.
"""

from array import array
from asyncio import events
from collections.abc import Callable, Hashable, Sequence
from types import CodeType
from typing import Any, final

def begin(
    *,
    threshold_ns: int,
    retained: int,
    on_fault: Callable[[Exception], None],
    owner: Callable[[str], int],
    describe: Callable[[Any], str],
    exception_text: Callable[[BaseException], str],
    thread_name: Callable[[int], str],
) -> None:
    """Begin to record. The last four callables help with texts and with frames."""

def forget() -> None:
    """Let go of everything, and record no more."""

def learn(task: Any, step: Any, py_task: type[Any], /) -> None:
    """What asyncio's own types are: a task of the C type, its first step, and the Python type of tasks."""

def derive_handles(
    handle: type[events.Handle],
    timer_handle: type[events.TimerHandle],
    metaclass: type[type],
    report: Callable[[Any, BaseException], None],
    /,
) -> tuple[type[events.Handle], type[events.TimerHandle]]:
    """Our twins of the two classes."""

def run_stock(handle: events.Handle, source: int, /) -> None:
    """As `handle._run()`, recorded."""

def call_soon_of(loop_class: type[Any], /) -> tuple[Any, Any]:
    """What to put in place of a loop class's `call_soon` and `_call_soon`."""

def run_once_of(loop_class: type[Any], /) -> Any:
    """What to put in place of a loop class's `_run_once`."""

def wrap(loop: Any, callback: Callable[..., object], source: int, /) -> Callable[..., object]:
    """What to give to a loop that has handles of its own, in place of `callback`."""

def wrapping(method: Callable[..., Any], position: int, source: int, /) -> Any:
    """What to put in place of a method of a loop class that takes a callback at `position`."""

def borrow_slots(whether: bool, /) -> None:
    """Take those of `asyncio.Task`, or give them back."""

def create_task(loop: Any, create: Callable[..., Any], coroutine: Any, kwargs: dict[str, Any], /) -> Any:
    """`create(coroutine, **kwargs)`, on a loop with a task factory."""

def adopt(task: Any, loop: Any, /) -> None:
    """Begin the record of a task that was there before the hooks. Raises what the task's methods raise."""

def report_foreign_calls(report: Callable[[Any, Any], object] | None, /) -> None: ...
def release(loop: Any, /) -> None:
    """The loop has been closed."""

def opened(loop: Any, runtime: str, runs: CodeType, /) -> None:
    """A scheduler that isn't asyncio's begins to run; `runs` is to live as long as it does."""

def scheduled(loop: Any, task: Any, source: int, /) -> None:
    """A task of such a scheduler was made ready to run."""

def poll_begins(task: Any, /) -> None: ...
def poll_ends(task: Any, /) -> None: ...
def running() -> list[tuple[int, int, int, Any, int, int, int, int]]:
    """What each loop's thread is in, as the fields of `Running`; names as the program has them."""

def long_polls() -> list[tuple[int, int, int, Any, int, int, int, int, bool]]:
    """Polls and callbacks past the threshold that ended since the last call, likewise."""

def long_polls_wait() -> bool:
    """Whether such have ended since."""

def poll_depth(loop: int, /) -> int:
    """How many frames the poll or callback has that a loop is in; 0 where it is in none."""

def begin_watch(period_ns: int, /) -> None:
    """From now on `watch` waits."""

def end_watch() -> None:
    """Let `watch` return. On any thread."""

def watch() -> tuple[int, int, dict[int, int | None]] | None:
    """Wait until there is something to see: when this look was due, when the clocks were read last, and by
    thread how many ns it was busy since. None once the watch has ended."""

def loops() -> list[tuple[int, Any]]:
    """The open loops, with their numbers."""

def tasks_of(loop: int, wanted: array[int], /) -> bytes:
    """The live tasks of a loop: pairs of id and address, each an int64; of the wanted ones alone where there
    are any: their ids in order, each an int64. Without the interpreter's lock."""

def find(number: int, address: Hashable, /) -> Any | None:
    """The task of this id where it lives at this address, else None. On the thread of its loop only."""

def identify(task: Any, /) -> int:
    """The id of a live task; 0 where it is not known."""

def wake(loop: Any, /) -> tuple[Any, int, int, int, int, str] | None:
    """What a loop is polling and who woke it, as fields of `Wake`."""

def task(number: int, most: int, /) -> Any:
    """The task of this id where it lives and is among the first `most`, else None."""

def tell_faults(packed: bytes, /) -> None:
    """What each tick says of what has failed: msgpack of an array of texts."""

def start_sender() -> None:
    """Start the thread that serves the outlets. RuntimeError where there can be no more threads."""

def stop_sender() -> None:
    """End it; outlets stay, and wait."""

def drain() -> None:
    """Take note of what changed."""

@final
class Cursor:
    """How far one console has been told."""

    def begin(self) -> None:
        """Begin a batch: everything that changed since the last one."""

    def next(self) -> bytes:
        """The next frames of the batch; none at its end."""

    def watch(self, tasks: Sequence[int], /) -> None:
        """Tell of the polls of these tasks, and of no other ones."""

    def trace(self, after: int, /) -> None:
        """Tell of all polls: of those to come, where `after` is 0; of those after this number; of all that
        are kept, where it is below 0."""

    def untrace(self) -> None:
        """No more."""

@final
class Outlet:
    """A console's outgoing half, on descriptors of others: see `asynctop.core.contract.Outlet`."""

    def __new__(cls, socket: int, bell: int) -> Outlet: ...
    def put(self, frames: bytes, last: bool = False) -> bool:
        """Send them between others. False where many others are still under way."""

    def subscribe(self, interval_ns: int, /) -> None:
        """Send a batch now, and one every so often from now on."""

    def watch(self, tasks: Sequence[int], /) -> None:
        """Tell of the polls of these tasks, and of no other ones."""

    def trace(self, after: int, /) -> None:
        """As the cursor's."""

    def finish(self) -> None:
        """Send one batch more, of all that there is to tell by then, and then nothing."""

    def finished(self) -> bool:
        """Whether it sends no more."""

    def close(self) -> None:
        """Let go of the socket."""
