"""The instrumented programs of this user on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass

from asynctop_console.source.link import greet
from asynctop_console.source.live import SocketSource
from asynctop_console.source.target import (
    DeadSocketError,
    SilentError,
    Target,
    TargetError,
    checked_directory,
    is_running,
)
from asynctop_protocol.messages import Hello
from asynctop_protocol.paths import pid_of

_TIMEOUT_S = 1.0
"""Somebody waits for the list: a program that is stopped must not hold it up."""
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Program:
    """A program with a socket."""

    target: Target
    state: str
    """"running", "silent" (no answer in time), "dead" (the process is there, nobody listens) or "refused"."""
    hello: Hello | None = None
    problem: str = ""
    """Why there is no hello, in one line."""


async def programs(environ: Mapping[str, str], uid: int) -> list[Program]:
    """The programs with a socket in the sockets' directory, by pid.

    The sockets of processes that are gone are left out, and left to whoever cleans up. TargetError where the
    directory is not safe.
    """
    directory = checked_directory(environ, uid)
    if directory is None:
        return []
    pids = {name: pid for name in os.listdir(directory) if (pid := pid_of(name)) is not None}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(name: str, pid: int) -> Program:
        async with gate:
            return await _look(Target(os.path.join(directory, name), pid))

    found = await asyncio.gather(*(look(name, pid) for name, pid in pids.items() if is_running(pid)))
    return sorted(found, key=lambda program: program.target.pid)


async def _look(target: Target) -> Program:
    try:
        return Program(target, "running", await greet(target, _TIMEOUT_S))
    except SilentError as error:
        return Program(target, "silent", problem=str(error))
    except DeadSocketError as error:
        return Program(target, "dead", problem=str(error))
    except TargetError as error:
        return Program(target, "refused", problem=str(error))


class Successor:
    """Looks for the program that took another's place: run by the same command, started later.

    Blocks for up to about a second, so it is meant for a thread. Without a `former` program it takes any
    that runs.
    """

    def __init__(self, former: Hello | None, environ: Mapping[str, str], uid: int) -> None:
        self._former = former
        self._environ = environ
        self._uid = uid

    def __call__(self) -> SocketSource | None:
        """A source for it, None while there is none."""
        try:
            found = asyncio.run(programs(self._environ, self._uid))
        except TargetError:
            return None
        following = [(program.hello, program.target) for program in found if self._follows(program.hello)]
        if not following:
            return None
        self._former, target = max(following, key=lambda pair: pair[0].started_at_ns if pair[0] else 0)
        return SocketSource(target)

    def _follows(self, hello: Hello | None) -> bool:
        former = self._former
        if hello is None:
            return False
        return former is None or (hello.argv == former.argv and hello.started_at_ns > former.started_at_ns)
