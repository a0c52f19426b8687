"""Healthy programs that use real libraries, each under load and looked at with `asynctop snapshot --json`.

The programs are in programs/. They know nothing of asynctop. What some of them need besides (a server of
Redis or PostgreSQL, a load generator) is started here, and used as it is.
"""

from __future__ import annotations

import glob
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ..e2e.processes import ASYNCTOP, RUN, Json, Lab, Process, snapshot_of

HERE = Path(__file__).parent
ON_UVLOOP = HERE.parent / "scenarios" / "on_uvloop.py"

CORES = tuple(os.environ.get("ASYNCTOP_TEST_CORES", "c python").split())
LOOPS = ("asyncio", "uvloop")

GLANCE_S = 2.5
"""How long a short look takes. There is one after the other for as long as the long one."""
PAUSE_MS = 50
"""After each request of a connection, unless the load is to be as much as the server can take."""


class Seen(NamedTuple):
    """What was seen of one program."""

    name: str
    snapshots: list[Json]
    """The one of all the time comes last."""

    @property
    def busy_ratio(self) -> float:
        """Of its loop's time, over all of it. A program that does nothing is healthy, too."""
        return max(float(loop["busy_ratio"] or 0) for loop in self.snapshots[-1]["loops"])

    @property
    def max_lag_ms(self) -> float:
        """How late its loop once was."""
        return max(float(loop["max_lag_ns"]) for loop in self.snapshots[-1]["loops"]) / 1e6

    @property
    def findings(self) -> list[str]:
        """All that was ever said, each once."""
        return list(
            dict.fromkeys(
                f"{finding['lint']}: {finding['message']}"
                for snapshot in self.snapshots
                for finding in snapshot["lints"]
            )
        )


class Program(NamedTuple):
    """A program, and how it gets something to do."""

    name: str
    needs: Callable[[Lab], str] = lambda lab: ""
    """Starts what it needs; its argument."""
    requests: tuple[str, ...] = ()
    """What wrk asks it for, "GET/path"."""
    clients: str = ""
    """A program that uses it and is looked at as well."""


def redis(lab: Lab) -> str:
    """A server of Redis, and its socket."""
    socket = lab.work / "redis.sock"
    server = lab.start("redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", lab.work)
    server.stdout.line("eady to accept connections")
    return str(socket)


def postgres(lab: Lab) -> str:
    """A server of PostgreSQL, and the directory of its socket. It refuses to run as root."""
    directory = lab.work / "postgres"
    directory.mkdir()
    nobody: tuple[str, ...] = ()
    if os.geteuid() == 0:
        shutil.chown(directory, "nobody")
        for parent in directory.parents[:2]:
            parent.chmod(0o755)
        nobody = ("setpriv", "--reuid=nobody", "--clear-groups")
    data, binaries = directory / "data", Path(str(binary_of_postgres())).parent
    made = lab.start(*nobody, binaries / "initdb", "--auth=trust", "--username=asynctop", "--no-sync", data)
    assert made.status() == 0, made.stderr.all()
    options = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={directory}", "-c", "fsync=off")
    server = lab.start(*nobody, binaries / "postgres", "-D", data, *options)
    server.stderr.line("ready to accept connections")
    return str(directory)


def binary_of_postgres() -> str | None:
    """Where it is: Debian does not put it on the path."""
    return shutil.which("postgres") or next(
        iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))), None
    )


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "aiohttp_server",
            requests=("GET/item/7", "GET/item/12", "GET/search", "GET/export", "POST/buy", "GET/nowhere"),
        ),
        Program(
            "fastapi_server",
            requests=("GET/users/7", "GET/users/24", "GET/digest/abc", "POST/orders", "GET/report"),
        ),
        Program("websockets_server", clients="websockets_clients"),
        Program("redis_pool", needs=redis),
        Program("postgres_pool", needs=postgres),
        Program("pipeline"),
    )
}


def observe(program: Program, core: str, loop: str, seconds: float, pause_ms: int = PAUSE_MS) -> list[Seen]:
    """What is seen of a program, and of its clients, in so much time."""
    with _lab() as lab:
        env = {"ASYNCTOP_CORE": core}
        on = () if loop == "asyncio" else (ON_UVLOOP,)

        def start(name: str, argument: str) -> Process:
            # Elsewhere, so that it is somebody's program and not one of a package's tests.
            path = lab.program((HERE / "programs" / f"{name}.py").read_text("utf-8"), f"{name}.py")
            return lab.start(*RUN, *on, path, *([argument] if argument else []), env=env)

        target = start(program.name, program.needs(lab))
        port = _ready(target)
        targets = {program.name: target}
        if program.clients:
            targets[program.clients] = start(program.clients, port)
            _ready(targets[program.clients])
        if program.requests:
            wrk = ("wrk", "-t1", "-c16", "-d1h", "-s", HERE / "requests.lua")
            lab.start(*wrk, f"http://127.0.0.1:{port}", "--", str(pause_ms), *program.requests)
        until = time.monotonic() + seconds
        long = {name: _look(lab, process, seconds) for name, process in targets.items()}
        glances: dict[str, list[Json]] = {name: [] for name in targets}
        while time.monotonic() < until:
            looks = {name: _look(lab, process, GLANCE_S) for name, process in targets.items()}
            for name, look in looks.items():
                glances[name].append(snapshot_of(look))
        return [Seen(name, [*glances[name], snapshot_of(look)]) for name, look in long.items()]


def _ready(target: Process) -> str:
    """Wait for it; the port it says."""
    try:
        return target.stdout.line(r"^ready ?(\d*)")[1]
    except AssertionError as error:
        raise AssertionError(f"{error}, and on stderr {target.stderr.so_far!r}") from None


def _look(lab: Lab, target: Process, seconds: float) -> Process:
    return lab.start(*ASYNCTOP, "snapshot", str(target.pid), "--for", f"{seconds:g}", "--json")


@contextmanager
def _lab() -> Iterator[Lab]:
    with TemporaryDirectory(prefix="asynctop-") as directory:
        work = Path(directory, "work")
        work.mkdir()
        lab = Lab(Path(directory, "sockets"), work)
        try:
            yield lab
        finally:
            lab.close()
