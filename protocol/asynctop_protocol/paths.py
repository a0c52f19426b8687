"""Where the sockets of monitored programs are. Both ends compute it; nothing here touches the file system."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

MAX_SOCKET_PATH_BYTES = 103
"""Longest path of a Unix socket that works everywhere: macOS has 104 bytes for it, one of them for the final
NUL (Linux has 108)."""


def socket_directory(environ: Mapping[str, str], uid: int) -> str:
    """The directory that holds the sockets of the user `uid`'s programs; only that user may be able to enter
    it.

    `$ASYNCTOP_DIR`, else `$XDG_RUNTIME_DIR/asynctop`, else `asynctop-<uid>` in `$TMPDIR` or /tmp. Raises
    ValueError where `$ASYNCTOP_DIR` is relative: program and console would look in different places. Other
    variables that are empty or relative count as unset, as the XDG base directory specification has it.
    """
    if chosen := environ.get("ASYNCTOP_DIR"):
        if not os.path.isabs(chosen):
            raise ValueError(f"expected an absolute path in ASYNCTOP_DIR, found {chosen!r}")
        return chosen
    runtime_dir = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime_dir):
        return os.path.join(runtime_dir, "asynctop")
    temporary = environ.get("TMPDIR", "")
    return os.path.join(temporary if os.path.isabs(temporary) else "/tmp", f"asynctop-{uid}")


def socket_name(pid: int) -> str:
    """The name, in the directory, of the socket of the program with this process id."""
    return f"{pid}.sock"


def pid_of(name: str) -> int | None:
    """The process id in a socket's name; None where the name is not one that `socket_name` makes."""
    match = re.fullmatch(r"([1-9][0-9]{0,18})\.sock", name)
    return int(match[1]) if match else None


def checked_socket_path(path: str) -> str:
    """The path, where it is short enough for a Unix socket. Raises ValueError with one line for a person
    where not."""
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise ValueError(
            f"expected a socket path of at most {MAX_SOCKET_PATH_BYTES} bytes, found {length}: {path} "
            "(set ASYNCTOP_DIR to a shorter directory)"
        )
    return path
