"""asynctop's runtime: instruments the event loops of this process and tells consoles about them.

    import asynctop
    asynctop.install()

Then `asynctop` in a terminal shows this program's tasks. Nothing is printed here and nothing the program
computes changes.

PYTEST_DONT_REWRITE: else pytest, finding a plugin in our distribution and this imported before it, warns.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading

from asynctop.flight import FlightRecorder
from asynctop.forks import when_forked
from asynctop.insider import Insider
from asynctop.session import Session

__all__ = ["install", "uninstall"]

DEFAULT_STALL_THRESHOLD = 0.05
"""Seconds. Fifty milliseconds are what a person at the other end of a request begins to notice."""

_session: Session | None = None
_fork_hook = False
_lock = threading.RLock()
"""Hooks are put in and taken out by one thread at a time, and not while another one forks."""


DEFAULT_FLIGHT_LIMIT = 1.0
"""Seconds: what nobody explains by a busy machine."""


def install(
    *,
    stall_threshold: float = DEFAULT_STALL_THRESHOLD,
    flight_recorder: str | os.PathLike[str] | None = None,
    flight_limit: float = DEFAULT_FLIGHT_LIMIT,
) -> bool:
    """Instrument every event loop of this process, running ones too, and serve consoles on a Unix socket.

    `stall_threshold`: seconds from which a single poll or callback counts as a stall. Raises ValueError
    where it is not between a millisecond and an hour.
    `flight_recorder`: a directory. The last polls of all tasks are kept, a quarter of a million, and when a
    stall has lasted for `flight_limit` seconds they are written into a file there, for `asynctop replay`:
    once a minute at most, and the newest ten files stay. Raises ValueError for a limit that is no such time.

    Returns whether the process is instrumented now. Where the socket or a thread cannot be made, or
    ASYNCTOP_CORE asks for a core that there is not, the reason goes to the logger "asynctop" as a warning and
    the program is left as it was. A second call does nothing.
    """
    global _session, _fork_hook
    if not 0.001 <= stall_threshold <= 3600:
        raise ValueError(f"expected a stall_threshold of 0.001 to 3600 seconds, found {stall_threshold!r}")
    if not 0.001 <= flight_limit <= 3600:
        raise ValueError(f"expected a flight_limit of 0.001 to 3600 seconds, found {flight_limit!r}")
    with _lock:
        if _session is not None:
            return True
        try:
            flight = None
            if flight_recorder is not None:
                flight = FlightRecorder(os.fspath(flight_recorder), int(flight_limit * 1e9))
            session = Session(stall_threshold, flight)
            session.start()
        except Exception as error:
            logging.getLogger("asynctop").warning("not instrumented: %s", error)
            return False
        _session = session
        atexit.register(uninstall)
        if not _fork_hook:
            _fork_hook = True
            os.register_at_fork(
                before=_before_fork,
                after_in_parent=_after_fork_in_parent,
                after_in_child=_after_fork_in_child,
            )
        return True


def uninstall() -> None:
    """Take every hook out, close the socket and forget everything. Does nothing where nothing is
    installed."""
    global _session
    with _lock:
        session, _session = _session, None
        if session is not None:
            atexit.unregister(uninstall)
            session.stop()


def await_console(timeout_s: float) -> bool:
    """Wait until a console watches this process, for so many seconds at most; whether one does then.

    If so, the process also waits at its end until its consoles have been told everything.
    """
    with _lock:
        session = _session
    return session is not None and session.await_console(timeout_s)


def insider() -> Insider | None:
    """A console in this process, the same one each time; None where nothing is installed."""
    with _lock:
        return _session.insider if _session is not None else None


def _before_fork() -> None:
    _lock.acquire()
    if _session is not None:
        _session.pause()


def _after_fork_in_parent() -> None:
    try:
        if _session is not None:
            when_forked(_resume, sys._getframe(1))
    finally:
        _lock.release()


def _after_fork_in_child() -> None:
    global _session
    try:
        if _session is not None:
            _session.restart_after_fork()
    except Exception:  # the child must live, with or without us
        _session = None
    finally:
        _lock.release()


def _resume() -> None:
    with _lock:
        if _session is not None:
            _session.resume()
