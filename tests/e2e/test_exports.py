"""Exports of a real program: the page about them says only what is true, and what is handed on arrives."""

from __future__ import annotations

import csv
import json
import re
import shlex
import signal
import threading
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from asynctop_console.metrics.figures import METRICS

from .processes import ASYNCTOP, Lab, Process, complaint

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/exports.md").read_text("utf-8") if (ROOT / "docs").exists() else ""
COMMANDS: list[str] = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)

PROGRAM = """
import asyncio, time

async def ping(queue, other):
    while True:
        other.put_nowait(await queue.get())

async def block():
    while True:
        time.sleep(0.1)
        await asyncio.sleep(0.1)

async def main():
    print("ready", flush=True)
    one, two = asyncio.Queue(), asyncio.Queue()
    one.put_nowait(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(ping(one, two), name="ping")
        group.create_task(ping(two, one), name="pong")
        group.create_task(block(), name="blocker")

asyncio.run(main())
"""


@pytest.fixture
def program(lab: Lab) -> Process:
    return lab.run(lab.program(PROGRAM))


@pytest.fixture
def collector() -> Iterator[tuple[str, threading.Event]]:
    """Takes what it is sent: its URL, and whether something has come."""
    sent = threading.Event()

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            sent.set()

        def log_message(self, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", sent
    server.shutdown()
    server.server_close()
    thread.join()


def done(lab: Lab, *arguments: str) -> str:
    """A command that succeeds. What it says on standard output."""
    process = lab.start(*ASYNCTOP, *arguments)
    assert process.status() == 0, process.stderr.all()
    return process.stdout.all()


@pytest.mark.source_tree
@pytest.mark.usefixtures("program")
def test_the_pages_exports_are_made_as_it_says(lab: Lab) -> None:
    commands = [words for words in map(shlex.split, COMMANDS) if words[1] in ("record", "export")]
    for _, *arguments in commands:
        assert done(lab, *arguments) == ""
    forms = {words[words.index("--as") + 1] for words in commands if "--as" in words}
    assert forms == {"perfetto", "speedscope", "html", "csv", "json"}
    written = {path.name: path.read_text("utf-8") for path in lab.work.glob("*") if path.suffix != ".rec"}
    for name in ("app.trace.json", "app.speedscope.json", "app.json"):
        assert json.loads(written[name])
    (frame, *_) = [
        frame
        for frame in json.loads(written["app.speedscope.json"])["shared"]["frames"]
        if frame["name"] == "block"
    ]
    assert frame["line"] == 10
    assert {row["name"] for row in csv.DictReader(written["tasks.csv"].splitlines())} >= {"ping", "blocker"}
    assert {row["callee"] for row in csv.DictReader(written["stalls.csv"].splitlines())} == {"time.sleep"}
    assert "blocked in time.sleep()" in written["app.html"]


@pytest.mark.source_tree
def test_the_page_says_how_to_tell_others(
    lab: Lab, program: Process, collector: tuple[str, threading.Event]
) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = [re.findall(r"\[(\w+)\]", command) for command in COMMANDS if command.startswith("pip")]
    assert [extra for (extra,) in installed if extra not in extras] == []
    url, sent = collector
    prometheus, otlp = (shlex.split(command)[1:] for command in COMMANDS if " metrics " in command)
    told = lab.start(*ASYNCTOP, *(word.replace("9464", "0") for word in prometheus))
    where = told.stderr.line("at (http://127.0.0.1:.*/metrics)$")[1]
    teller = lab.start(*ASYNCTOP, *(word.replace("http://localhost:4318", url) for word in otlp))
    teller.stderr.line(f"metrics of pid {program.pid} sent to {url}/v1/metrics$")
    with urllib.request.urlopen(where) as answer:
        text = answer.read().decode()
    assert re.search(r'^asynctop_kind_tasks\{.*kind="ping".*\} 1.0$', text, re.MULTILINE)
    teller.signal(signal.SIGTERM)
    assert teller.status() == 0
    assert sent.is_set()
    program.kill()
    assert told.status() == 0
    assert "has exited" in told.stderr.all()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(where)


@pytest.mark.source_tree
def test_the_page_lists_the_metrics() -> None:
    lines = PAGE.splitlines()
    for metric in METRICS:
        labels = ", ".join(metric.labels)
        assert f"| `{metric.name}` | {metric.unit} | {labels} | {metric.meaning} |" in lines
    assert sum(line.startswith("| `asynctop.") for line in lines) == len(METRICS)


@pytest.mark.usefixtures("program")
def test_a_running_program_is_recorded_to_be_exported(lab: Lab) -> None:
    out = done(lab, "export", "--as", "csv", "--for", "0.5")
    assert {row["name"] for row in csv.DictReader(out.splitlines())} >= {"ping", "pong", "blocker"}
    assert list(lab.work.glob("asynctop-*")) == []


def test_what_is_not_there_cannot_be_told_of(lab: Lab) -> None:
    assert "there is no process" in complaint(lab.start(*ASYNCTOP, "metrics", "--prometheus", "0", "4194305"))
