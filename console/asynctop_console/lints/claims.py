"""Which lint a stall belongs to: one stall, one finding, said by the lint that knows most about it.

Their claims stand in one table and are heard in its order. A lint gets its stalls from `claimed`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from asynctop_console.lints.nested_runs import NestedRunInAThread, is_nested_run
from asynctop_console.model import Frame, Model
from asynctop_console.model.places import is_users, users_frame
from asynctop_console.model.stalls import share
from asynctop_protocol.messages import Cause, Incident, Part, Stall

Claim: TypeAlias = Callable[[Model, Stall], bool]
"""Whether a stall, whose cause is known, is of this lint."""

MOST = 0.5
"""Share of a stall's samples from which on something is what it is about."""

ENDLESS = 20
"""Thresholds from which on a first poll that goes on is one that never yields, as far as anybody can tell."""

_LOGGING = re.compile(r"[/\\]logging[/\\](__init__|handlers)\.py$")
_NOBODYS = re.compile(
    r"^<frozen importlib\._bootstrap|[/\\](asyncio[/\\]subprocess\.py:create_|threading\.py:Thread\.start$)"
)
_SELECTORS = re.compile(r"[/\\]asyncio[/\\]selector_events\.py$")
_SOCKETS = re.compile(r"socket\.socket\.(send|recv)")
_UVLOOPS = re.compile(r"uvloop\.loop\.\w+\.write")
_RESOLVERS = re.compile(r"getaddrinfo|gethostby(name|addr)|getnameinfo|getfqdn")
_LOCKS = re.compile(
    r"(_thread\.R?[Ll]ock|multiprocessing\.SemLock)\.(acquire|__enter__)$|queue\.SimpleQueue\.get$"
)
_LOCK_FILES = re.compile(r"[/\\](threading|queue|synchronize)\.py$")
_LOCK_METHODS = re.compile(r"(Condition|Semaphore|BoundedSemaphore|_?RLock|SemLock|Barrier|Queue)\.\w+$")
_FILES = re.compile(
    r"""
      (open|fcntl\.(flock|lockf)|mmap\.mmap\.flush|sqlite3\..*|g?dbm\..*
    | io\.(FileIO|Buffered\w+|TextIOWrapper|open)\b.*
    | os\.(f?sync|fdatasync|f?stat|lstat|open|pread|pwrite|preadv|pwritev|sendfile|copy_file_range|f?truncate
      |listdir|scandir|DirEntry|ScandirIterator|rename|replace|link|symlink|unlink|remove|mkdir|rmdir|access
      |chmod|chown|utime|posix_fallocate|statvfs)\b.*
    )(\(\).*)?$
    """,
    re.VERBOSE,
)
"""C functions that work on files and file-like databases. Not `os.read`, which is for pipes."""


def before_logging(stack: list[Frame]) -> list[Frame] | None:
    """The stack down to the call of `logging`; None where there is none."""
    for index, frame in enumerate(stack):
        if _LOGGING.search(frame[1]) and not is_users(frame):
            return stack[:index]
    return None


def before_resolving(part: Part) -> list[Frame] | None:
    """The stack down to the call of what resolves a host's name; None where there is none."""
    for index, frame in enumerate(part.rest):
        if _RESOLVERS.search(frame[0].rpartition(".")[2]):
            return part.rest[:index]
    return part.rest if _RESOLVERS.search(part.callee) else None


def lock_method(part: Part) -> str | None:
    """The method of a lock or queue for threads that waits, as in "Queue.get"; "" where the lock itself is
    asked, None where it is no such thing."""
    if not _LOCKS.search(part.callee):
        return None
    own = users_frame(part.rest)
    if own is None or part.rest[-1] == own:
        return ""
    entry, file, _ = part.rest[part.rest.index(own) + 1]
    return entry if _LOCK_FILES.search(file) and _LOCK_METHODS.search(entry) else None


def _is_young(model: Model, stall: Stall) -> bool:
    """Whether it goes on and is not long yet: for how long its thread had no processor is known later."""
    return stall.ongoing and stall.duration_ns < 2 * model.stall_threshold_ns


def _is_nobodys(model: Model, stall: Stall) -> bool:
    """Whether there is nothing to mend: a thread was starting, or asyncio was starting a process, which takes
    as long as the system takes; or a module was being imported, as servers do with the application, and
    frameworks with modules of their own when these are first needed. It never will be again. Or a transport
    was reading or writing, which never waits: where that takes long, the whole machine was held up."""
    return share(stall, lambda part: _is_started_or_imported(part) or _is_transports(part)) > MOST


def _is_started_or_imported(part: Part) -> bool:
    return any(_NOBODYS.search(f"{file}:{function}") for function, file, _ in part.rest)


def _is_transports(part: Part) -> bool:
    innermost = part.rest[-1][1] if part.rest else ""
    return bool(_UVLOOPS.match(part.callee) or (_SOCKETS.match(part.callee) and _SELECTORS.search(innermost)))


def sets_up(model: Model, stall: Stall) -> bool:
    """Whether it is the first thing that the program ever did in its loop: one that loads what it needs keeps
    nobody waiting yet."""
    if stall.poll != 1:
        return False
    tasks = model.tasks
    before = (tasks.loop == stall.loop) & (tasks.created_ns < stall.started_ns) & (tasks.id != stall.task)
    defined = map(model.kinds.defined, np.unique(tasks.kind[before]).tolist())
    # A framework has its own tasks, from the beginning on.
    return not any(not file or is_users(("", file, line)) for file, line in defined)


def _had_set_up(model: Model, stall: Stall) -> bool:
    """Whether it was that, and was over before anybody looked."""
    over = not stall.ongoing and stall.started_ns + stall.duration_ns <= model.observed_from_ns
    return over and sets_up(model, stall)


def _collects(model: Model, stall: Stall) -> bool:
    return stall.cause is Cause.GC


def _logs(model: Model, stall: Stall) -> bool:
    return share(stall, lambda part: bool(before_logging(part.rest))) > MOST


def _resolves(model: Model, stall: Stall) -> bool:
    return stall.cause is Cause.BLOCKING and share(stall, lambda part: bool(before_resolving(part))) > MOST


def _waits_for_lock(model: Model, stall: Stall) -> bool:
    return stall.cause is Cause.BLOCKING and share(stall, lambda part: lock_method(part) is not None) > MOST


def _works_on_files(model: Model, stall: Stall) -> bool:
    # What is in memory already is copied from there, which keeps the processor busy.
    works = stall.cause in (Cause.BLOCKING, Cause.CPU)
    return works and share(stall, lambda part: bool(_FILES.match(part.callee))) > MOST


def _is_callback(model: Model, stall: Stall) -> bool:
    return not stall.task


def _never_yields(model: Model, stall: Stall) -> bool:
    endless = stall.ongoing and stall.duration_ns >= ENDLESS * model.stall_threshold_ns
    if stall.cause is not Cause.CPU or stall.poll != 1:
        return False
    if not (stall.last or endless or _ends_at_once(model, stall)):
        return False
    file, line = model.kinds.defined(stall.kind)
    spawned, _ = model.kinds.spawn(stall.kind)
    # Where the spawn was not seen, polls may have gone before. A framework's coroutine awaits what it gets.
    return bool(file and spawned) and is_users(("", file, line))


def _ends_at_once(model: Model, stall: Stall) -> bool:
    """Whether a first poll that goes on will be the last one, as for all tasks of its kind so far."""
    kinds = model.kinds
    known = stall.ongoing and 0 < stall.kind < kinds.rows
    return known and bool(0 < kinds.ended[stall.kind] == kinds.polls[stall.kind])


def _caused(cause: Cause) -> Claim:
    return lambda model, stall: stall.cause is cause


CLAIMS: tuple[tuple[str, Claim], ...] = (
    (NestedRunInAThread.name, is_nested_run),
    ("gc-pause", _collects),
    ("blocking-logging-handler", _logs),
    ("synchronous-dns", _resolves),
    ("blocking-lock", _waits_for_lock),
    ("synchronous-file-or-sqlite-io", _works_on_files),
    ("blocking-callback", _is_callback),
    ("slow-first-poll-never-yields", _never_yields),
    ("long-poll-gil-held-in-c", _caused(Cause.GIL)),
    ("long-poll-cpu", _caused(Cause.CPU)),
    ("long-poll-blocking-call", _caused(Cause.BLOCKING)),
)
"""Lints by what is theirs, the one that says most first."""

NOTHING_TO_MEND: tuple[Claim, ...] = (_is_young, _is_nobodys, _had_set_up)
"""Stalls of which no lint speaks."""

_Seen: TypeAlias = "list[Stall | Incident]"

_latest: WeakKeyDictionary[Model, tuple[_Seen, dict[str, list[Stall]]]] = WeakKeyDictionary()


def claimed(model: Model, lint: str) -> list[Stall]:
    """The stalls that belong to a lint, oldest first."""
    seen: _Seen = [*model.stalls, *model.incidents]
    before, by_lint = _latest.get(model, ([], {}))
    if len(before) != len(seen) or any(a is not b for a, b in zip(before, seen, strict=True)):
        by_lint = {}
        for stall in model.stalls:
            if not (stall.cause is Cause.UNKNOWN or any(says(model, stall) for says in NOTHING_TO_MEND)):
                for name, claims in CLAIMS:
                    if claims(model, stall):
                        by_lint.setdefault(name, []).append(stall)
                        break
        _latest[model] = seen, by_lint
    return by_lint.get(lint, [])
