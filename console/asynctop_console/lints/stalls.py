"""The lints about stalls: each tells of its own ones (see claims.py), grouped by what is to be mended."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from asynctop_console.lints.claims import before_logging, before_resolving, claimed, lock_method, sets_up
from asynctop_console.lints.finding import MS, Finding, Lint, Severity, at
from asynctop_console.model import Frame, Model, places
from asynctop_console.model.places import users_frame
from asynctop_console.model.stalls import parts_of
from asynctop_console.model.times import duration
from asynctop_protocol.messages import Part, Stall

_NUMBERED = re.compile(r"Task-\d+$")
"""A name that asyncio gave."""
_MODULE = re.compile(r"([^/\\]+?)([/\\]__init__)?\.py$")
_COLLECTION = re.compile(r"gc\.collect\((\d)\)$")
_LOCK_TYPES = {"_thread.lock": "threading.Lock", "_thread.RLock": "threading.RLock"}


@dataclass(frozen=True)
class StallLint(Lint):
    """Stalls of one sort, those of the same line of the user's code together."""

    severity: ClassVar[Severity] = Severity.ERROR
    was: ClassVar[str]
    """What happened to the event loop."""
    advice: ClassVar[str]
    by_function: ClassVar[bool] = False
    """Whether a computation is meant, which is on another line each time that one looks."""

    def stack(self, part: Part) -> list[Frame]:
        """The part of a stack whose innermost frame of the user's is to blame."""
        return part.rest

    def what(self, group: list[Stall]) -> str:
        """What was waited for, or done: " in time.sleep()"; "" where it is not known."""
        calls = Counter[str]()
        for stall in group:
            for part in parts_of(stall):
                calls[_call(part, self.stack(part))] += part.samples
        call = calls.most_common(1)[0][0] if calls else ""
        return f" in {call}()" if call else ""

    def claimed(self, model: Model) -> list[Stall]:
        """The stalls to tell of."""
        return claimed(model, self.name)

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each place."""
        groups: dict[Hashable, list[Stall]] = {}
        seen: dict[int, Counter[Hashable]] = {}
        for stall in sorted(self.claimed(model), key=lambda stall: not parts_of(stall)):
            key = self._key(stall)
            if parts_of(stall):
                seen.setdefault(stall.kind, Counter())[key] += 1
            elif stall.kind in seen and stall.kind:
                # Where nobody could look, it was most likely where most of its kind were seen.
                key = seen[stall.kind].most_common(1)[0][0]
            groups.setdefault(key, []).append(stall)
        for group in groups.values():
            yield self._finding(model, group)

    def _key(self, stall: Stall) -> Hashable:
        frame = next(iter(self._places([stall])), None)
        if frame is None:
            return stall.kind, stall.name if not stall.kind else ""
        return frame[:2] if self.by_function else frame[1:]

    def _places(self, group: list[Stall]) -> dict[Frame, int]:
        found: Counter[Frame] = Counter()
        for stall in group:
            for part in parts_of(stall):
                frame = users_frame(self.stack(part))
                if frame is not None:
                    found[frame] += part.samples
        return dict(found.most_common())

    def _finding(self, model: Model, group: list[Stall]) -> Finding:
        worst = max(group, key=lambda stall: stall.duration_ns)
        place = next(iter(self._places(group)), None)
        name = who(model, worst)
        unseen = f" somewhere in {model.kinds.label(worst.kind)}" if worst.kind else " at an unknown line"
        return Finding(
            lint=self.name,
            severity=self.severity,
            subject_type="task" if worst.task else "loop",
            subject_id=worst.task or worst.loop,
            subject_name=name,
            message=f"The event loop {self.was}{self.what(group)} for {duration(worst.duration_ns)}"
            f"{' and still is' if worst.ongoing else ''} by {'task' if worst.task else 'callback'} {name}"
            f"{at(place) or unseen}{_caller(worst, place)}{_times(model, group)}. {self.advice}",
            tasks=frozenset(stall.task for stall in group if stall.task),
            place=place,
        )


def who(model: Model, stall: Stall) -> str:
    """The name by which a person knows what stalled: that of the task where the user gave it one, or made the
    task; else that of the user's own function that a framework's task or the loop has called."""
    if stall.task:
        file, line = model.kinds.defined(stall.kind)
        foreign = bool(file) and not places.is_users(("", file, line))
        label = model.kinds.label(stall.kind)
        return stall.coroutine if foreign and stall.coroutine and not _given(stall) else stall.name or label
    own = next((frame for frame in stall.stack if places.is_users(frame)), None)
    return own[0] if own else stall.name


def _given(stall: Stall) -> bool:
    """Whether somebody thought about the task's name: asyncio counts, frameworks take a function's name."""
    functions = tuple(frame[0] for frame in stall.stack if not places.is_users(frame))
    return bool(stall.name) and not _NUMBERED.match(stall.name) and not stall.name.endswith(functions)


def _call(part: Part, stack: list[Frame]) -> str:
    """What the user's own line was calling: "subprocess.run", "time.sleep"; "" where it is not known."""
    own = users_frame(stack)
    below = part.rest[len(stack) - stack[::-1].index(own) :] if own else []
    if not below:
        return part.callee
    function, file, _ = below[0]
    module = _MODULE.search(file)
    return f"{module[1]}.{function}" if module else function


def _caller(stall: Stall, place: Frame | None) -> str:
    """ ", called by handler() at app/web.py:40": the coroutine whose await never came."""
    frames = [frame for frame in stall.stack if places.is_users(frame)]
    own = [frame for frame in frames if frame[0] == stall.coroutine] or frames[:1]
    if place is None or not own or own[-1][:2] == place[:2]:
        return ""
    function, file, line = own[-1]
    return f", called by {function}() at {places.short(file, line, width=60)}"


def _times(model: Model, group: list[Stall]) -> str:
    if len(group) == 1:
        return ""
    total = sum(stall.duration_ns for stall in group)
    last = max(stall.started_ns + stall.duration_ns for stall in group)
    times = f", {len(group)} times, {duration(total)} in all"
    if any(stall.ongoing for stall in group):
        return times
    return f"{times}, last {duration(max(model.now_ns - last, 0))} ago"


@dataclass(frozen=True)
class LongPollBlockingCall(StallLint):
    """A task waited in a blocking call: the event loop stood still for all other tasks meanwhile.

    All tasks of a loop share its thread. While one of them waits in a call that is not awaited (`time.sleep`,
    `requests.get`, a database driver, a subprocess), none of the others can run, and nobody's timeout fires.

    Use a library that awaits, or run the call in a thread: `await asyncio.to_thread(function, ...)`.
    """

    name: ClassVar[str] = "long-poll-blocking-call"
    was: ClassVar[str] = "was blocked"
    advice: ClassVar[str] = "Use an async call, or asyncio.to_thread()."


@dataclass(frozen=True)
class LongPollCpu(StallLint):
    """A task computed for long without a pause: the event loop stood still for all other tasks meanwhile.

    All tasks of a loop share its thread. While one of them computes without an `await`, none of the others
    can run. A thread helps a little only, as threads of Python take turns.

    Run the computation in a process (`run_in_executor` with a `ProcessPoolExecutor`), make it cheaper, or cut
    it into parts with `await asyncio.sleep(0)` between them.
    """

    name: ClassVar[str] = "long-poll-cpu"
    was: ClassVar[str] = "was kept busy"
    advice: ClassVar[str] = "Move the work to a process, or pause in it."
    by_function: ClassVar[bool] = True

    def what(self, group: list[Stall]) -> str:
        """Nothing: what is called within a computation says little."""
        return ""


@dataclass(frozen=True)
class LongPollGilHeldInC(StallLint):
    """A task was for long in C code that kept the interpreter's lock: neither the event loop nor any thread
    of the program could run meanwhile.

    A function written in C ran for long without releasing the interpreter's lock (GIL): a large regular
    expression, `json.loads` of a huge text, `sorted` of a huge list, an extension that never lets go. No
    thread of the program runs meanwhile, so moving it to a thread does not help.

    Run it in a process, give it less at a time, or use a library that releases the lock.
    """

    name: ClassVar[str] = "long-poll-gil-held-in-c"
    was: ClassVar[str] = "and all threads were held up by C code that keeps the interpreter's lock,"
    advice: ClassVar[str] = "A thread would not help: move the call to a process, or give it less at a time."


@dataclass(frozen=True)
class GcPause(StallLint):
    """The garbage collector held up the event loop: there were more objects to look through than can be done
    quickly.

    CPython's collector looks at every container object for cycles, and the program waits. With millions of
    live objects a full collection takes long, and it comes at any allocation, in anybody's code.

    Once the program has loaded what it keeps, call `gc.collect()` and `gc.freeze()`: frozen objects are not
    looked through again. Raise the thresholds with `gc.set_threshold()`, keep large data in arrays, bytes or
    another process, and do not call `gc.collect()` in a task.
    """

    name: ClassVar[str] = "gc-pause"
    severity: ClassVar[Severity] = Severity.WARNING
    advice: ClassVar[str] = (
        "Call gc.freeze() once all that lives long is made, raise gc.set_threshold(), or make fewer objects."
    )

    was: ClassVar[str] = "was paused"
    by_function: ClassVar[bool] = True

    least_total_ms: Annotated[float, "ms of such pauses in all, after a program has loaded what it needs"] = (
        400.0
    )

    def claimed(self, model: Model) -> list[Stall]:
        """None while a program loads, and there is more with each object; and none if they are few."""
        stalls = [stall for stall in super().claimed(model) if not sets_up(model, stall)]
        enough = sum(stall.duration_ns for stall in stalls) >= self.least_total_ms * MS
        return stalls if enough else []

    def what(self, group: list[Stall]) -> str:
        """Which generation was collected."""
        calls = [_COLLECTION.match(stall.callee) for stall in group]
        generation = max((call[1] for call in calls if call), default="")
        return f" by a garbage collection{f' of generation {generation}' if generation else ''}"


@dataclass(frozen=True)
class SynchronousDns(StallLint):
    """A host's name was resolved in the event loop's own thread, which waited for the answer.

    `socket.getaddrinfo()`, `gethostbyname()` and whatever calls them (`socket.create_connection`, most
    synchronous clients) wait for the name server. That is fast until a server does not answer, and then takes
    seconds.

    Use `await loop.getaddrinfo(...)` or `asyncio.open_connection(...)`, which resolve in a thread, or run the
    whole call with `asyncio.to_thread()`.
    """

    name: ClassVar[str] = "synchronous-dns"
    was: ClassVar[str] = "waited for a name to be resolved"
    advice: ClassVar[str] = "Use loop.getaddrinfo(), or a client that resolves names asynchronously."

    def stack(self, part: Part) -> list[Frame]:
        """Down to the call of the resolver."""
        return before_resolving(part) or part.rest


@dataclass(frozen=True)
class SynchronousFileOrSqliteIo(StallLint):
    """A file or an SQLite database was worked on in the event loop's own thread, which waited for it.

    Files are read and written by calls that wait for the disk, and so is an SQLite database; `fsync`, network
    file systems and a locked database may take long. The event loop waits with them.

    Run the whole piece of work with `asyncio.to_thread()`; many small calls cost more than one. Libraries
    such as aiofiles and aiosqlite do the same for you.
    """

    name: ClassVar[str] = "synchronous-file-or-sqlite-io"
    was: ClassVar[str] = "waited for a file or database"
    advice: ClassVar[str] = "Do it in asyncio.to_thread(), or with aiofiles or aiosqlite."


@dataclass(frozen=True)
class BlockingLoggingHandler(StallLint):
    """A log record was handled in the event loop's own thread, which waited until the handler was done.

    A logging handler writes, or sends, before `logger.info()` returns: to a slow disk, to a terminal, to a
    server. The event loop waits for each record.

    Give the logger a `logging.handlers.QueueHandler`, and let a `QueueListener` call the slow handler in its
    own thread.
    """

    name: ClassVar[str] = "blocking-logging-handler"
    was: ClassVar[str] = "waited for a logging handler"
    advice: ClassVar[str] = "Give the logger a QueueHandler, and the slow handler to a QueueListener."

    def stack(self, part: Part) -> list[Frame]:
        """Down to the call of `logging`."""
        return before_logging(part.rest) or part.rest


@dataclass(frozen=True)
class BlockingLock(StallLint):
    """A lock or queue made for threads was waited for in the event loop's own thread.

    A `threading.Lock`, a `queue.Queue` or something like them was waited for in the loop's thread while
    another thread had it. All tasks of the loop wait for that thread.

    Take such a lock in a thread too (`asyncio.to_thread()`), hold it for a moment only, or talk to the loop
    with `loop.call_soon_threadsafe()` and an asyncio queue.
    """

    name: ClassVar[str] = "blocking-lock"
    was: ClassVar[str] = "waited for another thread"
    advice: ClassVar[str] = (
        "Hold the lock for a moment only, wait for it in asyncio.to_thread(), or use asyncio's own."
    )

    def what(self, group: list[Stall]) -> str:
        """Which lock."""
        parts = [part for stall in group for part in parts_of(stall)]
        locks = [_LOCK_TYPES.get(part.callee.rpartition(".")[0]) for part in parts if lock_method(part) == ""]
        return f" to release a {locks[0]}" if locks and locks[0] else super().what(group)


@dataclass(frozen=True)
class BlockingCallback(StallLint):
    """A callback or a protocol's method took long: no task, but it ran in the event loop's own thread.

    What `call_soon`, `call_later`, `add_reader`, `add_done_callback` or a protocol's `data_received` calls
    runs in the loop's thread, as a poll of a task does. It has no `await`, so it cannot pause.

    Keep callbacks short: let them start a task, or hand the work to a thread with `loop.run_in_executor()`.
    """

    name: ClassVar[str] = "blocking-callback"
    was: ClassVar[str] = "was held up"
    advice: ClassVar[str] = (
        "A callback must return at once: leave the work to a task that awaits, or a thread."
    )


@dataclass(frozen=True)
class SlowFirstPollNeverYields(StallLint):
    """A task computed from its beginning to its end without ever waiting for anything: a function would do
    the same, and the event loop stood still meanwhile.

    The coroutine never really awaits anything. As a task it runs from its beginning to its end at one go, and
    `gather` over many of them runs them one after the other: it looks concurrent and is not.

    Make it a plain function, and run it in a thread or process. Where it was meant to await, look for the
    call that is blocking.
    """

    name: ClassVar[str] = "slow-first-poll-never-yields"
    was: ClassVar[str] = "was kept busy"
    advice: ClassVar[str] = "It never waits for anything: make it a function, and call that in a process."

    def what(self, group: list[Stall]) -> str:
        """That it is the only poll, or the first one, as nobody knows yet."""
        return f" in the {'first' if any(stall.ongoing for stall in group) else 'only'} poll of a task"

    def _key(self, stall: Stall) -> Hashable:
        return stall.kind

    def _finding(self, model: Model, group: list[Stall]) -> Finding:
        finding = super()._finding(model, group)
        kind = group[0].kind
        return self.about_kind(model, kind, finding.message, finding.tasks, place=finding.place)
