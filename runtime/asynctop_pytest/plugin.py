"""What pytest loads: options, the marker and the fixture. It costs nothing where no test asks for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from asynctop_pytest.seen import Seen

DEFAULT_MAX_POLL = 0.05
"""Seconds, as in `asynctop.install()`."""

WATCH = "asynctop-watch"
"""The plugin that there is once tests are to be watched."""


class Wish(NamedTuple):
    """What is wanted of a test."""

    max_poll: float
    """Seconds from which on a poll is noticed."""
    judged: bool
    """Whether it fails for such a poll."""
    leaks: bool
    """Whether it fails for tasks that it leaves behind."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option and the settings."""
    parser.getgroup("asynctop").addoption(
        "--asynctop",
        action="store_true",
        help="fail tests that block their event loop or leave tasks behind",
    )
    parser.addini("asynctop", "fail tests that block their event loop or leave tasks behind", "bool", False)
    parser.addini("asynctop_max_poll", f"seconds that a poll may take ({DEFAULT_MAX_POLL})", "string", "")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers",
        f"asynctop(max_poll={DEFAULT_MAX_POLL}, leaks=True): fail the test if it blocks its event loop for "
        "more than max_poll seconds (None: it may), or, with leaks, if it leaves tasks behind",
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    """See which tests are to be watched."""
    max_poll = _max_poll(session.config)
    for_all = session.config.getoption("--asynctop") or session.config.getini("asynctop")
    found = ((item, _wish(item, max_poll, for_all)) for item in session.items)
    wishes = {item: wish for item, wish in found if wish is not None}
    if wishes:
        # Not before: until here, nothing of asynctop has been imported.
        from asynctop_pytest.watch import Watch

        session.config.pluginmanager.register(Watch(wishes), WATCH)


@pytest.fixture
def asynctop(request: pytest.FixtureRequest) -> Seen:
    """What has been seen of this test so far: `stalls`, and `tasks` that it has spawned and that live.

    By itself it fails no test.
    """
    watch: Any = request.config.pluginmanager.get_plugin(WATCH)
    seen: Seen = watch.seen
    return seen


def _max_poll(config: pytest.Config) -> float:
    text = config.getini("asynctop_max_poll")
    try:
        return _checked(float(text or DEFAULT_MAX_POLL))
    except ValueError:
        raise pytest.UsageError(
            f"asynctop_max_poll: expected seconds, 0.001 to 3600, found {text!r}"
        ) from None


def _checked(seconds: float) -> float:
    if math.isnan(seconds) or not 0.001 <= seconds <= 3600:
        raise ValueError
    return seconds


def _wish(item: pytest.Item, max_poll: float, for_all: bool) -> Wish | None:
    marker = item.get_closest_marker("asynctop")
    if marker is not None:
        return _marked(item, max_poll, *marker.args, **marker.kwargs)
    if for_all:
        return Wish(max_poll, judged=True, leaks=True)
    if "asynctop" in getattr(item, "fixturenames", ()):
        return Wish(max_poll, judged=False, leaks=False)
    return None


def _marked(item: pytest.Item, default: float, *args: object, **kwargs: object) -> Wish:
    max_poll, leaks = kwargs.pop("max_poll", default), kwargs.pop("leaks", True)
    try:
        if args or kwargs or not isinstance(max_poll, int | float | None) or not isinstance(leaks, bool):
            raise ValueError
        checked = _checked(default if max_poll is None else max_poll)
    except ValueError:
        raise pytest.UsageError(
            f"{item.nodeid}: expected @pytest.mark.asynctop(max_poll=SECONDS or None, leaks=True or False), "
            "seconds 0.001 to 3600"
        ) from None
    return Wish(checked, judged=max_poll is not None, leaks=leaks)
