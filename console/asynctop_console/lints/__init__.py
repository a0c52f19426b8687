"""Lints: rules that look at the model and say in one sentence what is wrong and where.

Each has its thresholds as fields, its check, and the sentence that the user reads as its docstring.
A lint looks at the model only, so what is said on a screen is said by `asynctop snapshot` too.
"""

from __future__ import annotations

from asynctop_console.lints.cancellation import CancellationSlow, CancellationSwallowed, StateLostOnCancel
from asynctop_console.lints.executors import ExecutorExhausted
from asynctop_console.lints.finding import Finding, Lint, Severity
from asynctop_console.lints.incidents import (
    CallFromWrongThread,
    CoroutineNeverAwaited,
    PendingTaskDestroyed,
    TaskExceptionNeverRetrieved,
)
from asynctop_console.lints.locks import (
    DeadlockTaskAwaitsItsOwnWaiter,
    DeadlockTwoLocks,
    LockConvoy,
    LockHeldLongWhileWaiting,
    SyncLockHeldAcrossAwait,
)
from asynctop_console.lints.nested_runs import NestedRunInAThread
from asynctop_console.lints.orphans import OrphanedTask
from asynctop_console.lints.recursion import DeepAwaitRecursion
from asynctop_console.lints.rules import Rule, lasting
from asynctop_console.lints.self_wakes import SelfWakeSpin
from asynctop_console.lints.stalls import (
    BlockingCallback,
    BlockingLock,
    BlockingLoggingHandler,
    GcPause,
    LongPollBlockingCall,
    LongPollCpu,
    LongPollGilHeldInC,
    SlowFirstPollNeverYields,
    SynchronousDns,
    SynchronousFileOrSqliteIo,
)
from asynctop_console.lints.stranded import (
    EventNobodyWillSet,
    LockNeverReleased,
    QueueWithNoConsumerLeft,
    QueueWithNoProducerLeft,
    SemaphoreLeak,
)
from asynctop_console.lints.task_leak import TaskLeakByKind, UnboundedSpawn
from asynctop_console.lints.timers import TimerStorm
from asynctop_console.lints.turns import Starvation, TickOverload
from asynctop_console.model import Model

__all__ = ["LINTS", "RULES", "Finding", "Lint", "Rule", "Severity", "check_all", "lasting", "lints_by_task"]

LINTS: tuple[Lint, ...] = (
    ExecutorExhausted(),
    CancellationSlow(),
    CancellationSwallowed(),
    StateLostOnCancel(),
    CallFromWrongThread(),
    CoroutineNeverAwaited(),
    PendingTaskDestroyed(),
    TaskExceptionNeverRetrieved(),
    DeadlockTaskAwaitsItsOwnWaiter(),
    DeadlockTwoLocks(),
    LockConvoy(),
    LockHeldLongWhileWaiting(),
    SyncLockHeldAcrossAwait(),
    NestedRunInAThread(),
    OrphanedTask(),
    DeepAwaitRecursion(),
    SelfWakeSpin(),
    BlockingCallback(),
    BlockingLock(),
    BlockingLoggingHandler(),
    GcPause(),
    LongPollBlockingCall(),
    LongPollCpu(),
    LongPollGilHeldInC(),
    SlowFirstPollNeverYields(),
    SynchronousDns(),
    SynchronousFileOrSqliteIo(),
    EventNobodyWillSet(),
    LockNeverReleased(),
    QueueWithNoConsumerLeft(),
    QueueWithNoProducerLeft(),
    SemaphoreLeak(),
    TaskLeakByKind(),
    UnboundedSpawn(),
    TimerStorm(),
    Starvation(),
    TickOverload(),
)


RULES = tuple(map(Rule, LINTS))
"""The lints as they are where the user has set nothing."""


def check_all(model: Model, rules: tuple[Rule, ...] = RULES) -> list[Finding]:
    """All findings, errors first, then warnings."""
    order = list(Severity)
    findings = [finding for rule in rules for finding in rule.check(model)]
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def lints_by_task(findings: list[Finding]) -> dict[int, list[str]]:
    """The names of the lints that each task trips, by task id."""
    tripped: dict[int, list[str]] = {}
    for finding in findings:
        for task in finding.tasks:
            names = tripped.setdefault(task, [])
            if finding.lint not in names:
                names.append(finding.lint)
    return tripped
