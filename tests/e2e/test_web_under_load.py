"""Web servers under load from wrk: all are answered, and a blocking call is named within a second."""

from __future__ import annotations

import re
import signal
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from .processes import ASYNCTOP, Json, Lab, Process, eventually, snapshot_of

SERVERS = Path(__file__).parent / "servers"

KEYS = {
    "target": "pid argv python runtime core protocol_version started_at",
    "observed": "from until",
    "loops": "id thread runtime tasks busy_ns polls callbacks max_lag_ns busy_ratio state",
    "tasks": "id name kind state outcome exception loop parent spawned_at created_ns ended_ns polls busy_ns"
    " scheduled_ns idle_ns max_poll_ns current_poll_ns wakes self_wakes last_waker await_chain waiting_on"
    " lints",
    "kinds": "kind defined_at spawned_at spawned live returned raised cancelled destroyed polls busy_ns"
    " scheduled_ns max_poll_ns poll_p50_ns poll_p99_ns",
    "stalls": "task name kind loop started_ns duration_ns ongoing cause samples stack",
    "resources": "id type description created_at holder waiters attributes",
    "lints": "lint severity subject message",
}
"""What the snapshot's JSON promises, of an object or of each object in a list."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: Process
    file: Path
    url: str
    runtime: str
    kinds: str
    """What the names of the kinds that answer requests begin with."""


@pytest.fixture(
    params=[
        ("aiohttp_server.py", "asyncio", "RequestHandler."),
        ("fastapi_server.py", "uvloop", "RequestResponseCycle."),
    ],
    ids=lambda param: param[1],
)
def server(lab: Lab, request: pytest.FixtureRequest) -> Server:
    """A server under `asynctop run`."""
    file, runtime, kinds = request.param
    process = lab.run(SERVERS / file, "0", ready="^listening on ")
    url = process.stdout.line(r"^listening on (http://127\.0\.0\.1:\d+)$")[1]
    return Server(process, SERVERS / file, url, runtime, kinds)


@pytest.mark.parametrize("call", ["sqlite", "sleep"])
def test_a_blocking_call_under_load_is_named_within_a_second(
    lab: Lab, wrk: str, server: Server, call: str
) -> None:
    load = lab.start(wrk, "-t1", "-c16", "-d3s", f"{server.url}/hello")
    console = lab.start(*ASYNCTOP, "snapshot", str(server.process.pid), "--for", "1", "--json")
    eventually(
        lambda: lab.consoles(server.process) == 1, "a connected console", lambda: console.stderr.so_far
    )
    # The console's second has begun before the call: what it sees, it sees within a second of it.
    caller = threading.Thread(target=_get, args=(f"{server.url}/{call}",))
    caller.start()
    snapshot = snapshot_of(console)
    caller.join()
    assert load.status() == 0
    all_answered(load.stdout.all())

    assert snapshot["target"]["runtime"] == server.runtime
    assert not any(snapshot["dropped"].values())
    has_its_keys(snapshot)
    function, source, text = {
        "sqlite": ("LockedDatabase.query", SERVERS / "locked_database.py", "self._asker.execute("),
        "sleep": ("call_slow_library", server.file, "time.sleep(0.2)"),
    }[call]
    # On a busy machine another poll may have waited for a processor for too long.
    (stall,) = [
        stall for stall in snapshot["stalls"] if stall["stack"] and stall["stack"][-1]["file"] == str(source)
    ]
    assert (stall["cause"], stall["ongoing"]) == ("blocking", False)
    assert stall["duration_ns"] > 100_000_000
    theirs = [frame for frame in stall["stack"] if Path(frame["file"]).parent == SERVERS]
    assert theirs[-1] == {"function": function, "file": str(source), "line": last_line_with(text, source)}
    # The task itself may be gone: thousands have ended since. What the stall says of it stays.
    assert stall["task"] > 0
    assert re.fullmatch(r"Task-\d+", stall["name"])
    assert stall["kind"].startswith(server.kinds)
    (longest,) = [kind["max_poll_ns"] for kind in snapshot["kinds"] if kind["kind"] == stall["kind"]]
    assert longest >= stall["duration_ns"]

    server.process.signal(signal.SIGINT)
    assert server.process.status() == 0
    assert server.process.stderr.all() == ""
    assert server.process.stdout.all() == f"listening on {server.url}\n"
    lab.leaves_nothing(server.process)


def _get(url: str) -> None:
    with urllib.request.urlopen(url) as response:
        assert response.status == 200


def all_answered(report: str) -> None:
    """wrk has seen answers, and mentions no errors: it has a line for them only where there are some."""
    counted = re.search(r"^\s*(\d+) requests in ", report, re.MULTILINE)
    assert counted, report
    assert int(counted[1]) > 100, report
    assert "Non-2xx" not in report, report
    assert "Socket errors" not in report, report


def has_its_keys(snapshot: Json) -> None:
    """Scripts rely on these; more may come."""
    assert {*KEYS, "dropped"} <= snapshot.keys()
    for name, keys in KEYS.items():
        for entry in snapshot[name] if isinstance(snapshot[name], list) else [snapshot[name]]:
            assert set(keys.split()) <= entry.keys()
    for task in snapshot["tasks"]:
        assert {"source", "task", "name"} <= task["last_waker"].keys()
        assert (
            task["waiting_on"] is None or {"type", "id", "description", "holder"} <= task["waiting_on"].keys()
        )
    frames = [frame for owner in snapshot["tasks"] for frame in owner["await_chain"]]
    frames += [frame for stall in snapshot["stalls"] for frame in stall["stack"]]
    assert all({"function", "file", "line"} <= frame.keys() for frame in frames)
    assert all({"type", "id", "name"} <= finding["subject"].keys() for finding in snapshot["lints"])


def last_line_with(text: str, path: Path) -> int:
    """The number of the last line that contains `text`."""
    return max(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)
