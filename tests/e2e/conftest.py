"""What every end-to-end test stands on: a place of its own for sockets and programs."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .processes import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that need a tool are marked with its name, so that one can leave them out on purpose."""
    for item in items:
        for tool in {"tmux", "wrk"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(tool)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where a test has failed, what its programs were doing belongs to the report."""
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.when == "call" and report.failed and isinstance(lab, Lab):
        report.sections.append(("Programs that still ran", lab.end_with_stacks()))
    return report


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> Iterator[None]:
    """A shell's background job ignores SIGINT, one under nohup SIGHUP; its children would inherit that."""
    on_interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    on_hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, on_interrupt)
    signal.signal(signal.SIGHUP, on_hangup)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A place for a test's programs; see `Lab`."""
    # Not in tmp_path: the path of a Unix socket has about a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="asynctop-") as directory:
        lab = Lab(Path(directory), tmp_path)
        try:
            yield lab
        finally:
            lab.close()


@pytest.fixture
def wrk() -> str:
    """The load generator. A missing one is a failure, for what it would have shown is not known then."""
    return _tool("wrk")


@pytest.fixture
def tmux() -> str:
    """The terminal multiplexer; see `wrk`."""
    return _tool("tmux")


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is missing: apt-get install {name}", pytrace=False)
    return path
