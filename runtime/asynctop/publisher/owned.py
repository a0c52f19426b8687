"""Sockets that are closed only while they are still ours.

A program that becomes a daemon closes every descriptor it has, ours too, and what it opens next gets their
numbers.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from os import fstat  # a program's tests may put something else in its place

Identity = tuple[int, int]
"""Device and inode of what a descriptor stands for."""


def identity(sock: socket.socket) -> Identity | None:
    """What a socket's descriptor stands for; None where it stands for nothing."""
    try:
        status = fstat(sock.fileno())
    except OSError:
        return None
    return status.st_dev, status.st_ino


def release(sock: socket.socket, ours: Identity | None) -> None:
    """Close a socket that was `ours`, or let go of a number that belongs to something else by now."""
    if identity(sock) == ours:
        with suppress(OSError):
            sock.close()
    else:
        sock.detach()
