"""Whose process is at the other end of a Unix socket."""

from __future__ import annotations

import socket
import struct
import sys

_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1


def peer_uid(connected: socket.socket) -> int | None:
    """User id of the peer, None where the system does not tell."""
    if sys.platform == "linux":
        # struct ucred { pid_t pid; uid_t uid; gid_t gid; }, see unix(7).
        data = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("iII", data)[1])
    if sys.platform == "darwin" or "bsd" in sys.platform:
        # struct xucred { u_int version; uid_t uid; ... }, see unix(4).
        data = connected.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 128)
        return int(struct.unpack_from("II", data)[1])
    return None
