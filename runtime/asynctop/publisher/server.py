"""The publisher's thread: a Unix socket, its consoles, and, where the core does not send by itself, the clock
of their batches."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import stat
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from asynctop.core.contract import Core
from asynctop.flight import FlightRecorder
from asynctop.publisher.client import Client, Gone
from asynctop.publisher.inspector import Inspection
from asynctop.publisher.news import News
from asynctop.publisher.outlet import Outlet
from asynctop.publisher.owned import identity, release
from asynctop.threads import join
from asynctop_protocol import Chains, Hello, Role, pid_of

MAX_CLIENTS = 16
"""Consoles at a time. Each may hold a frame and a batch's list of records."""

SILENT_NS = 5_000_000_000
"""How long a console may take to say what it wants before it makes room for another one."""

OUT_OF_FILES_S = 0.1
"""How long a console waits that cannot be accepted, the program having used up its file descriptors."""

QUIET_NS = 10_000_000_000
"""How often the descriptors are looked at while nothing happens, and the core sends."""

UNWATCHED_NS = 250_000_000
"""How often changes are taken note of while no console is connected, so that what waits for it stays
small."""


def listen(path: str) -> socket.socket:
    """A listening socket at `path`, in a directory that only this user can enter. Raises OSError with one
    clear line."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    status = os.lstat(directory)
    if (
        not stat.S_ISDIR(status.st_mode)
        or status.st_uid != os.getuid()
        or stat.S_IMODE(status.st_mode) & 0o077
    ):
        raise PermissionError(
            f"expected {directory} to be a directory of this user with mode 0700, found "
            f"owner {status.st_uid} and mode {stat.S_IMODE(status.st_mode):04o}; "
            "set ASYNCTOP_DIR to another one"
        )
    _sweep(directory)
    if os.path.lexists(path):
        os.unlink(path)  # left behind by an earlier process with our number
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, 0o600)
        sock.listen(MAX_CLIENTS)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _sweep(directory: str) -> None:
    """Remove the sockets of processes that were killed and could not do it themselves."""
    for name in os.listdir(directory):
        pid = pid_of(name)
        if pid is None or _exists(pid):
            continue
        # It may still live in another container that shares the directory: a dead one refuses.
        path = os.path.join(directory, name)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(path)
            except ConnectionRefusedError:
                with suppress(OSError):
                    os.unlink(path)
            except OSError:
                pass


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def peer_uid(sock: socket.socket) -> int | None:
    """The user at the other end of a Unix socket; None where the platform does not tell."""
    if sys.platform == "linux":
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return int(uid)
    return None  # there the directory's and the socket's modes keep others out


class Publisher:
    """Serves the consoles of this process."""

    def __init__(
        self,
        core: Core,
        news: Sequence[News],
        hello: Callable[[], Hello],
        path: str,
        faults: list[str],
        on_fault: Callable[[BaseException], None],
        flight: FlightRecorder | None = None,
    ) -> None:
        self.path = path
        self._flight = flight
        self._core = core
        self._news = news
        self._hello = hello
        self._faults = faults
        self._on_fault = on_fault
        self._clients: list[Client] = []
        self._answers: deque[tuple[Client, Inspection, Chains]] = deque()
        self._faults_told = 0
        self._due_ns = 0
        self._listener = listen(path)
        self._stopping = False
        self._watched = threading.Event()
        """A console has subscribed."""
        self._leaving = False
        self._left = threading.Event()
        """All consoles have been told everything."""
        # Not epoll: that is one more descriptor, which cannot be told from others'.
        self._selector = selectors.PollSelector()
        # Sockets rather than a pipe: a late writer to a closed socket object fails, and hits nobody else's
        # descriptor.
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._thread: threading.Thread | None = None
        self._ours = {sock: identity(sock) for sock in (self._listener, self._wake_in, self._wake_out)}

    def start(self) -> None:
        """Begin to serve, or go on after a pause."""
        self._stopping = False
        self._core.start()
        thread = threading.Thread(target=self._run, name="asynctop-publisher", daemon=True)
        thread.start()
        self._thread = thread

    def pause(self) -> None:
        """End the thread; consoles stay connected and wait."""
        self._stopping = True
        self.wake()
        if self._thread is not None:
            join(self._thread)
        self._core.stop()

    def stop(self) -> None:
        """Close everything."""
        self.pause()
        self._close(unlink=True)

    def abandon(self) -> None:
        """In a forked child, which has the descriptors but not the thread: close them, and leave the socket
        to the parent."""
        self._close(unlink=False)

    def await_console(self, timeout_s: float) -> bool:
        """Wait until a console has subscribed. Whether one has, in this time."""
        return self._watched.wait(timeout_s)

    def say_farewell(self, timeout_s: float) -> None:
        """Tell the consoles all that there is to tell, and let them go. Wait for that, so long at most."""
        self._leaving = True
        self.wake()
        if self._thread is not None and self._thread.is_alive():
            self._left.wait(timeout_s)

    def wake(self) -> None:
        """There is news, of faults too. On any thread."""
        if identity(self._wake_in) == self._ours[self._wake_in]:
            with suppress(OSError):  # full: it is about to wake anyway
                self._wake_in.send(b"\0")

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except Exception as error:
            try:
                self._on_fault(error)
            finally:
                self._close(unlink=True)  # else consoles would wait for ever
                self._left.set()

    def _turn(self) -> None:
        if any(identity(sock) != ours for sock, ours in self._ours.items()):
            raise RuntimeError("the program has closed our descriptors")
        now = time.monotonic_ns()
        due = now + QUIET_NS
        if not self._core.sends:
            due = min([self._due_ns, *(at for outlet in self._outlets() if (at := outlet.due_ns()))])
        due = min([due, *(at for client in self._clients if (at := client.due_ns()) is not None)])
        for key, events in self._selector.select(max(due - now, 0) / 1e9):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._wake_out:
                self._wake_out.recv(4096)
            else:
                self._serve(key.data, events)
        while self._answers:
            client, inspection, chains = self._answers.popleft()
            client.answer(inspection, chains)
        if len(self._faults) != self._faults_told:
            self._faults_told = len(self._faults)
            self._core.tell_faults(self._faults[:])
        for client in tuple(self._clients):
            self._care_for(client)
        if self._flight is not None:
            self._record_flight(self._flight)
        if any(client.subscribed for client in self._clients):
            self._watched.set()
        elif self._leaving:
            self._left.set()
        if not self._core.sends:
            self._begin_batches()
            for client in self._clients:
                self._watch(client)

    def _outlets(self) -> list[Outlet]:
        return [client.outlet for client in self._clients if isinstance(client.outlet, Outlet)]

    def _begin_batches(self) -> None:
        now = time.monotonic_ns()
        ready = [outlet for outlet in self._outlets() if (due := outlet.due_ns()) is not None and due <= now]
        if ready or now >= self._due_ns:
            self._core.drain()
            self._due_ns = now + UNWATCHED_NS
        for outlet in ready:
            outlet.begin(now)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(OUT_OF_FILES_S)
            return  # else it went away again
        uid = peer_uid(sock)
        foreign = uid not in (None, 0, os.getuid())
        client = Client(
            sock,
            Hello(Role.RUNTIME) if foreign else self._hello(),
            self._core.outlet(sock.fileno(), self._wake_in.fileno())
            if self._core.sends
            else Outlet(sock, self._core.cursor()),
            self._news,
        )
        self._clients.append(client)
        self._selector.register(sock, selectors.EVENT_READ, client)
        if foreign:
            client.refuse(
                f"this program belongs to user {os.getuid()}, you are user {uid}: connect as its user"
            )
        elif len(self._clients) > MAX_CLIENTS and not self._made_room():
            client.refuse(f"this program has {MAX_CLIENTS} consoles already: close one")

    def _made_room(self) -> bool:
        """Drop the oldest console that has said nothing for long."""
        latest = time.monotonic_ns() - SILENT_NS
        for client in self._clients[:-1]:
            if not client.subscribed and client.since_ns <= latest:
                self._drop(client)
                return True
        return False

    def _serve(self, client: Client, events: int) -> None:
        if client not in self._clients:
            return  # it had to make room, just now
        try:
            if events & selectors.EVENT_READ:
                client.readable()
            if events & selectors.EVENT_WRITE and isinstance(client.outlet, Outlet):
                client.outlet.writable()
        except Gone:
            self._drop(client)
        except Exception as error:
            self._drop_faulty(client, error)

    def _care_for(self, client: Client) -> None:
        try:
            if client.question is not None:
                question, client.question = client.question, None
                client.inspection = Inspection(self._core, question, partial(self._answer, client))
                client.inspection.proceed()
            client.proceed()
        except Exception as error:
            self._drop_faulty(client, error)
            return
        if client.outlet.finished():
            client.said_all() if client.finishing else self._drop(client)
        elif self._leaving and client.subscribed:
            client.finish()

    def _record_flight(self, flight: FlightRecorder) -> None:
        try:
            flight.proceed(self._core, self._hello, self._news)
        except Exception as error:
            self._flight = None
            self._faults.append(f"the flight recorder is switched off: {error}"[:500])
            self.wake()

    def _answer(self, client: Client, inspection: Inspection, chains: Chains) -> None:
        """On any thread."""
        self._answers.append((client, inspection, chains))
        self.wake()

    def _watch(self, client: Client) -> None:
        writes = isinstance(client.outlet, Outlet) and client.outlet.wants_to_write()
        events = selectors.EVENT_READ | selectors.EVENT_WRITE if writes else selectors.EVENT_READ
        if self._selector.get_key(client.sock).events != events:
            self._selector.modify(client.sock, events, client)

    def _drop_faulty(self, client: Client, error: Exception) -> None:
        """There is something that cannot be sent: this console ends, the others go on."""
        self._faults.append(f"a console was dropped: {type(error).__name__}: {error}"[:500])
        self._drop(client)

    def _drop(self, client: Client) -> None:
        self._clients.remove(client)
        self._selector.unregister(client.sock)
        client.close()

    def _close(self, *, unlink: bool) -> None:
        if unlink:
            with suppress(OSError):  # somebody has tidied up
                os.unlink(self.path)
        self._selector.close()
        for client in self._clients:
            client.close()
        self._clients.clear()
        for sock, ours in self._ours.items():
            release(sock, ours)
