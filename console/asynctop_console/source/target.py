"""What to connect to: a pid or a path becomes a `Target`, everything else one clear line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from asynctop_protocol.paths import pid_of, socket_directory, socket_name

INSTRUMENT = "start it with `asynctop run app.py`, or call asynctop.install() in it"
"""What to do about a program that nobody can look into."""


class TargetError(Exception):
    """The target cannot be reached or is not what it should be: in one line what is wrong and what to do."""


class DeadSocketError(TargetError):
    """Nobody listens at the socket: its program is gone."""


class SilentError(TargetError):
    """Somebody listens, but has not answered in time."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a program listens."""

    path: str
    pid: int = 0
    """0 where the path does not say."""

    def __str__(self) -> str:
        return f"pid {self.pid}" if self.pid else self.path


def is_running(pid: int) -> bool:
    """Whether there is a process with this pid, whoever owns it."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def checked_directory(environ: Mapping[str, str], uid: int) -> str | None:
    """The directory of the sockets, None where no program has made it yet.

    TargetError unless nobody but the user can enter it: in anybody else's, the sockets may be anybody's.
    """
    try:
        path = socket_directory(environ, uid)
    except ValueError as error:
        raise TargetError(str(error)) from None
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TargetError(f"cannot look at the sockets' directory {path}: {error.strerror}") from None
    if not stat.S_ISDIR(found.st_mode):
        raise TargetError(f"{path} should be a directory of sockets but is not one: remove it")
    if found.st_uid != uid:
        raise TargetError(f"{path} belongs to user {found.st_uid}, expected {uid}: remove it, or ask them to")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise TargetError(
            f"{path} has mode {mode:04o}, expected 0700: `chmod 700 {path}` if you trust what is in it"
        )
    return path


def resolve(text: str, environ: Mapping[str, str], uid: int) -> Target:
    """The target meant by `text`: a pid or the path of a socket. TargetError for anything else."""
    if re.fullmatch(r"[0-9]+", text):
        return _of_pid(text, environ, uid)
    if "://" in text:
        raise TargetError(f"cannot connect to {text!r}: expected a pid or the path of a Unix socket")
    try:
        found = os.stat(text)
    except FileNotFoundError:
        raise TargetError(
            f"{text!r} is neither a pid nor an existing socket: `asynctop ls` shows the programs there are"
        ) from None
    except PermissionError:
        raise TargetError(f"{text} is out of your reach: run asynctop as the user who owns it") from None
    except (OSError, ValueError) as error:
        raise TargetError(f"{text!r} is no path of a socket: {error}") from None
    if not stat.S_ISSOCK(found.st_mode):
        what = "a directory" if stat.S_ISDIR(found.st_mode) else "a file"
        raise TargetError(
            f"{text} is {what}, expected a Unix socket: `asynctop ls` shows the programs there are"
        )
    return Target(os.path.abspath(text), pid_of(os.path.basename(text)) or 0)


def _of_pid(text: str, environ: Mapping[str, str], uid: int) -> Target:
    # No kernel has pids this long, and int() refuses far longer texts.
    pid = int(text) if len(text) <= 10 else 0
    directory = checked_directory(environ, uid)
    path = os.path.join(directory, socket_name(pid)) if directory and pid else None
    if path and os.path.exists(path):
        return Target(path, pid)
    if not pid or not is_running(pid):
        raise TargetError(f"there is no process {text}: `asynctop ls` shows the programs there are")
    raise TargetError(f"process {pid} is not instrumented: {INSTRUMENT}")
