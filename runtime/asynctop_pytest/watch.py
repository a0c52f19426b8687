"""pytest's hooks while there are tests to be watched: each phase of a test is judged when it is over.

A poll that takes long fails the phase it ran in. Tasks left behind fail the test when nobody can be expected
to end them any more: after the test itself where none of its fixtures might, else when these are torn down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

import asynctop
from asynctop.insider import Insider
from asynctop.run import CannotRunError, instrument
from asynctop_pytest.plugin import Wish
from asynctop_pytest.processors import Noting
from asynctop_pytest.seen import Seen
from asynctop_pytest.sentences import blocked, left_behind

_NO_CLEANUP = ("_pytest.", "pytest_asyncio.", "anyio.", "asynctop_pytest.")
"""Modules whose fixtures end no tasks of a test, but by closing the loop."""

_Hook = Generator[None, Any, Any]


class Watch:
    """The hooks, and what is seen of the test that runs."""

    def __init__(self, wishes: Mapping[pytest.Item, Wish]) -> None:
        self._wishes = wishes
        self._max_poll = 0.0
        self._ours: Insider | None = None
        """Where it was we who installed asynctop."""
        self._inside: Insider | None = None
        self._seen: Seen | None = None
        self._noting: Noting | None = None
        self._wish: Wish | None = None
        """Of the test that runs."""
        self._cleans_up = False
        """Whether it has fixtures that may end its tasks when it is over."""
        self._failed = False

    @property
    def seen(self) -> Seen:
        """What is seen of the test that runs."""
        assert self._seen is not None
        return self._seen

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> _Hook:
        """The test's fixtures are set up."""
        self._wish = None
        if (wish := self._wishes.get(item)) is None:
            return (yield)
        try:
            self._install(wish.max_poll)
        except CannotRunError as error:
            yield
            pytest.fail(f"asynctop cannot watch this test: {error}", pytrace=False)
        self.seen.restart()
        self._wish = wish
        self._cleans_up = self._failed = False
        return (yield from self._phase(item, wish, "setup"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> _Hook:
        """The test runs."""
        return (yield) if self._wish is None else (yield from self._phase(item, self._wish, "call"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> _Hook:
        """Its fixtures are torn down."""
        if self._wish is None:
            return (yield)
        try:
            return (yield from self._phase(item, self._wish, "teardown"))
        finally:
            self._wish = None
            if nextitem not in self._wishes:
                self._uninstall()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> _Hook:
        """A fixture is set up. What a wider one than the test spawns is not the test's."""
        if self._wish is None:
            return (yield)
        if fixturedef.scope != "function":
            with self.seen.foreign():
                return (yield)
        module = str(getattr(fixturedef.func, "__module__", ""))
        self._cleans_up |= not module.startswith(_NO_CLEANUP) or fixturedef.argname.startswith("_xunit")
        return (yield)

    def _phase(self, item: pytest.Item, wish: Wish, phase: str) -> _Hook:
        """A phase runs, and fails for what is wrong in it; one that has failed tells that besides."""
        try:
            with _told_of_runs(self.seen):
                result = yield
        except BaseException:
            self._failed = True
            for problem in self._problems(wish, phase):
                item.add_report_section(phase, "asynctop", problem)
            raise
        if problems := self._problems(wish, phase):
            self._failed = True
            pytest.fail("\n".join(problems), pytrace=False)
        return result

    def _problems(self, wish: Wish, phase: str) -> list[str]:
        if asynctop.insider() is not self._inside:
            return []  # the test has called asynctop.uninstall()
        if self._noting is not None:
            self._noting.note()
        stalls = [stall for stall in self.seen.news() if stall.blamed and stall.own_seconds > wish.max_poll]
        problems = [blocked(stall, wish.max_poll) for stall in stalls] if wish.judged else []
        tasks = self.seen.tasks if phase != "setup" and wish.leaks else []
        is_over = phase == "teardown" or not self._cleans_up
        # What fails half-way cannot be expected to tidy up.
        if tasks and is_over and not (self._failed and phase == "teardown"):
            problems.append(left_behind(tasks))
        return problems

    def _install(self, max_poll: float) -> None:
        """Have asynctop installed, with this threshold unless the tests have installed it themselves."""
        if self._ours is not None and self._max_poll != max_poll:
            self._uninstall()
        if (inside := asynctop.insider()) is None:
            instrument(stall_threshold=max_poll)
            self._ours = inside = asynctop.insider()
            self._max_poll = max_poll
        if inside is not self._inside:
            assert inside is not None
            self._noting = self._noting or Noting()
            self._inside, self._seen = inside, Seen(inside, self._noting.notes)

    def _uninstall(self) -> None:
        if self._ours is not None and asynctop.insider() is self._ours:
            asynctop.uninstall()
        if self._noting is not None:
            self._noting.stop()
        self._ours = self._noting = self._inside = None


@contextmanager
def _told_of_runs(seen: Seen) -> Iterator[None]:
    """Let it know of the tasks that there are when `asyncio.run()`, or a runner, ends: it cancels them."""
    runners: Any = asyncio.runners
    stock = runners._cancel_all_tasks

    def _cancel_all_tasks(loop: asyncio.AbstractEventLoop) -> None:
        seen.cancels_all(asyncio.all_tasks(loop))
        stock(loop)

    runners._cancel_all_tasks = _cancel_all_tasks
    try:
        yield
    finally:
        runners._cancel_all_tasks = stock
