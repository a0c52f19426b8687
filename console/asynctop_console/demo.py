"""Running a demo beside the console: a child in a process group of its own, ended with the console."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType

from asynctop_console.source.target import Target, TargetError, resolve
from asynctop_demos import Demo

_START_S = 10.0
_LOOK_AGAIN_S = 0.02
_FAREWELL_S = 3.0


@contextmanager
def playing(demo: Demo) -> Iterator[Target]:
    """The demo as a running target. TargetError where it cannot start."""
    missing = [name for name in demo.needs if importlib.util.find_spec(name) is None]
    if missing:
        raise TargetError(
            f"the demo {demo.name} needs {', '.join(missing)}: `pip install 'asynctop[demos]'` installs it"
        )
    with tempfile.NamedTemporaryFile(
        "wb", prefix=f"asynctop-{demo.name}-", suffix=".log", delete=False
    ) as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "asynctop", "run", str(demo.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        with _ending_by_signal():
            target = _started(demo, child, Path(log.name))
            # Nobody is told its name any more: it goes with the child.
            os.unlink(log.name)
            signal.signal(signal.SIGHUP, partial(_hung_up, child))
            yield target
    finally:
        _end(child)


def _started(demo: Demo, child: subprocess.Popen[bytes], log: Path) -> Target:
    """The target, once the child listens."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise TargetError(
                f"the demo {demo.name} ended at once: {last or f'status {child.returncode}'} (see {log})"
            )
        with suppress(TargetError):
            return resolve(str(child.pid), os.environ, os.getuid())
        time.sleep(_LOOK_AGAIN_S)
    raise TargetError(f"the demo {demo.name} has not started in {_START_S:g} s (see {log})")


@contextmanager
def _ending_by_signal() -> Iterator[None]:
    """Let a closed terminal or a `kill` end us in an orderly way, for the child's sake."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hung_up(child: subprocess.Popen[bytes], number: int, frame: FrameType | None) -> None:
    """The terminal is closed, and the console in it: Textual cannot end in an orderly way without one."""
    _end(child)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and what it has started."""
    with suppress(ProcessLookupError):
        # As Ctrl-C would, and not SIGTERM, of which Python dies without taking its socket away.
        os.killpg(child.pid, signal.SIGINT)
    try:
        child.wait(_FAREWELL_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
