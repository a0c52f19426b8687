"""The Python core's numbers of kinds and wakers, where code of the program comes in between."""

from __future__ import annotations

from asynctop.core.python.records import KindInfo, Registry
from asynctop_protocol import WakerSource


class _Interrupted(list):  # type: ignore[type-arg]
    """Runs something before the first append, as a collection that finalizes objects may."""

    def __init__(self, entries, interrupt) -> None:  # type: ignore[no-untyped-def]
        super().__init__(entries)
        self._interrupt = interrupt

    def append(self, entry: object) -> None:
        interrupt, self._interrupt = self._interrupt, lambda: None
        interrupt()
        super().append(entry)


def _kind(name: str) -> KindInfo:
    return KindInfo(name, "program.py", 1, "program.py", 2)


def test_a_finalizer_may_make_a_kind_while_one_is_made() -> None:
    registry = Registry()
    registry.kinds = _Interrupted(registry.kinds, lambda: registry.kind(_kind("finalizer's")))
    number = registry.kind(_kind("interrupted"))
    assert registry.kinds[number].name == "interrupted"
    assert registry.kinds[registry.kind(_kind("finalizer's"))].name == "finalizer's"


def test_a_finalizer_may_wake_a_task_while_a_waker_is_numbered() -> None:
    registry = Registry()
    registry.wakers = _Interrupted(registry.wakers, lambda: registry.waker(WakerSource.TIMER, "finalizer's"))
    number = registry.waker(WakerSource.TIMER, "interrupted")
    assert registry.wakers[-number] == (WakerSource.TIMER, "interrupted")
    assert registry.wakers[-registry.waker(WakerSource.TIMER, "finalizer's")][1] == "finalizer's"
