"""Figures for collectors: the right names, the right numbers, and never more series than are wanted."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from asynctop_console.cli import main
from asynctop_console.lints import RULES
from asynctop_console.metrics import otlp, prometheus
from asynctop_console.metrics.collecting import Collected
from asynctop_console.metrics.figures import METRICS, Figures, Seen
from asynctop_console.model import Model
from asynctop_console.source import SocketSource, Target
from asynctop_console.usage import UsageError
from asynctop_protocol.messages import Cause, Kinds, LoopState, Message, Stalls, Texts, Tick

from .program import HOSTILE, MS, SECOND, FakeRuntime, hello, loops, spawned, stall, totals
from .screens import NOW, three, two_kinds

HANDLER = ("app.handler", "/srv/app/web.py:40", "/srv/app/main.py:12")


def seen(*messages: Message, most_kinds: int = 20) -> Figures:
    model = Model()
    watched = Seen(model, RULES, most_kinds)
    figures: Figures = {}
    for message in messages:
        model.fold(message)
        if isinstance(message, Tick):
            figures = watched.see()
    return figures


def test_figures_of_a_program() -> None:
    figures = seen(*three())
    assert figures.keys() == {metric.name for metric in METRICS}
    loop = ("1", "MainThread")
    for name, labels, value in (
        ("asynctop.tasks", ("idle",), 3.0),
        ("asynctop.tasks", ("polling",), 0.0),
        ("asynctop.loop.busy", loop, 0.113),
        ("asynctop.loop.polls", loop, 375.0),
        ("asynctop.loop.lag", loop, 0.002),
        ("asynctop.loop.stalled", loop, 0.0),
        ("asynctop.kind.tasks", HANDLER, 3.0),
        ("asynctop.kind.polls", HANDLER, 8.0),
        ("asynctop.kind.poll.max", HANDLER, 0.009),
        ("asynctop.warnings", ("task-leak-by-kind", "warning"), 0.0),
    ):
        assert figures[name][labels] == value
        assert type(figures[name][labels]) is float


def test_the_busy_and_the_stalled() -> None:
    running = loops(busy=SECOND, state=LoopState.STALLED, since=NOW - SECOND)
    figures = seen(*three()[:-1], running, Tick(NOW))
    assert figures["asynctop.loop.busy"]["1", "MainThread"] == 2.0
    assert figures["asynctop.loop.stalled"]["1", "MainThread"] == 1.0


def test_lag_is_that_of_the_last_minute() -> None:
    early: list[Message] = [*three()[:-1], loops(lag=5 * MS), Tick(NOW), loops(lag=MS), Tick(NOW + SECOND)]
    assert seen(*early)["asynctop.loop.lag"]["1", "MainThread"] == 0.005
    late = seen(*early, Tick(NOW + 62 * SECOND))
    assert late["asynctop.loop.lag"]["1", "MainThread"] == 0.001


def test_stalls_are_counted_once_and_when_they_are_over() -> None:
    told: list[Message] = [
        *three(),
        *(Stalls([stall(1, ongoing=True), stall(2, cause=Cause.CPU)]), Tick(NOW + SECOND)),
        *(Stalls([stall(1, duration=700 * MS)]), Tick(NOW + 2 * SECOND)),
        *(Stalls([stall(3)]), Tick(NOW + 3 * SECOND)),
    ]
    figures = seen(*told)
    assert figures["asynctop.stalls"] == {("cpu",): 1.0, ("blocking",): 2.0}
    assert figures["asynctop.stall.time"] == {("cpu",): 0.5, ("blocking",): 1.2}
    assert figures["asynctop.warnings"]["long-poll-blocking-call", "error"] == 1.0


def test_loops_that_are_closed_are_not_told_of() -> None:
    assert seen(*three()[:-1], loops(state=LoopState.CLOSED), Tick(NOW))["asynctop.loop.polls"] == {}


def test_the_busiest_kinds_only() -> None:
    named = Texts(1, ["f", *(f"k{number}" for number in range(9))])
    many = Kinds(1, list(range(2, 11)), [1] * 9, [1] * 9, [1] * 9, [1] * 9)
    sums = [replace(totals(number, spawned=1), busy_ns=[number]) for number in range(1, 10)]
    figures = seen(hello(), named, many, *sums, Tick(NOW), most_kinds=2)
    for metric in METRICS:
        if metric.name.startswith("asynctop.kind."):
            assert [kind for kind, _, _ in figures[metric.name]] == ["k8", "k7"]


def test_a_kind_that_blocks_is_the_busiest_while_its_poll_is_running() -> None:
    figures = seen(*three(), *two_kinds(), most_kinds=1)
    loader = ("app.loader", "/srv/app/web.py:60", "/srv/app/main.py:14")
    assert figures["asynctop.kind.busy"] == figures["asynctop.kind.poll.max"] == {loader: 13.0}
    later = seen(*three(), *two_kinds(), Tick(NOW + SECOND))
    assert later["asynctop.kind.busy"] == {loader: 14.0, HANDLER: 0.113}


@contextmanager
def url_of(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server that listens."""
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def collected(path: Path, batch: list[Message], look: Callable[[Collected], Any]) -> Any:
    """What somebody sees who looks at the figures of a program that has sent this."""

    async def run() -> Any:
        greeting, *facts = batch
        server = await FakeRuntime(greeting, facts).serve(str(path))
        watched = Collected(SocketSource(Target(str(path))), RULES, 20)
        assert watched.figures is None
        async with aclosing(watched.updates()) as updates:
            await anext(updates)
            found = await asyncio.to_thread(look, watched)
        server.close()
        return found

    return asyncio.run(run())


def scraped(watched: Collected) -> str:
    with prometheus.served(watched, "127.0.0.1", 0) as where:
        at, url = where.split()
        assert at == "at"
        with urllib.request.urlopen(url) as answer:
            body: bytes = answer.read()
    return body.decode()


def test_a_scrape(tmp_path: Path) -> None:
    text = collected(tmp_path / "s", three(), scraped)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    (target,) = families["asynctop_target_info"].samples
    assert target.labels == {
        "core": "c",
        "pid": "7",
        "program": "app.py --port 80",
        "python": "3.13.0",
        "runtime": "asyncio",
    }
    assert families["asynctop_up"].samples[0].value == 1
    busy = families["asynctop_loop_busy_seconds"]
    assert (busy.type, busy.samples[0].name) == ("counter", "asynctop_loop_busy_seconds_total")
    assert busy.samples[0].labels == {"loop": "1", "thread": "MainThread"}
    assert families["asynctop_kind_poll_p99_seconds"].type == "gauge"
    assert len(families) == len(METRICS) + 2


def test_a_program_that_cannot_be_reached_is_down(tmp_path: Path) -> None:
    text = scraped(Collected(SocketSource(Target(str(tmp_path / "none"))), RULES, 20))
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["asynctop_up 0.0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(tmp_path: Path, name: str) -> None:
    two = Kinds(1, [1, 1], [2, 2], [40, 40], [3, 3], [12, 12])
    facts: list[Message] = [
        replace(hello(), argv=[name], python=name),
        Texts(1, [name, name, name]),
        *(two, totals(1, spawned=1), totals(2, spawned=1), spawned([1])),
        replace(loops(), thread=[name]),
        Tick(NOW, {name: 1}),
    ]
    text = collected(tmp_path / "s", facts, scraped)
    samples = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert len(samples) == len(set(samples))
    assert all(value.isprintable() for _, labels in samples for _, value in labels)
    assert len(text) < 50_000


def test_what_is_sent_to_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    received: list[tuple[str, ExportMetricsServiceRequest]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.append((self.path, ExportMetricsServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with url_of(Collector) as url:

        def send(watched: Collected) -> None:
            with otlp.sent(watched, otlp.checked(url)) as where:
                assert where == f"sent to {url}/v1/metrics"

        collected(tmp_path / "s", three(), send)
    ((path, request),) = received
    assert path == "/v1/metrics"
    (of_program,) = request.resource_metrics
    attributes = {each.key: each.value for each in of_program.resource.attributes}
    assert attributes["service.name"].string_value == "app.py --port 80"
    assert attributes["process.pid"].int_value == 7
    metrics = {metric.name: metric for metric in of_program.scope_metrics[0].metrics}
    # Of what never happened, nothing is sent.
    assert {metric.name for metric in METRICS} - metrics.keys() == {
        "asynctop.stalls",
        "asynctop.stall.time",
        "asynctop.dropped",
    }
    busy = metrics["asynctop.loop.busy"]
    assert (busy.unit, busy.sum.is_monotonic) == ("s", True)
    (point,) = busy.sum.data_points
    assert point.as_double == 0.113
    assert {each.key: each.value.string_value for each in point.attributes} == {
        "loop": "1",
        "thread": "MainThread",
    }
    assert metrics["asynctop.loop.lag"].gauge.data_points[0].as_double == 0.002


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("", None),
        ("http://collector:4318", "http://collector:4318/v1/metrics"),
        ("https://collector/", "https://collector/v1/metrics"),
        ("http://collector/otlp/metrics", "http://collector/otlp/metrics"),
    ],
)
def test_where_to_send_to(endpoint: str, expected: str | None) -> None:
    assert otlp.checked(endpoint) == expected


@pytest.mark.parametrize("endpoint", ["collector:4318", "1234", "ftp://collector", "http://", "/v1/metrics"])
def test_what_is_no_collector(endpoint: str) -> None:
    with pytest.raises(UsageError, match="expected the URL of a collector"):
        otlp.checked(endpoint)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "expected where to: --prometheus [HOST:]PORT, --otlp [ENDPOINT], or both"),
        (["--prometheus", "soon"], "expected a port, or HOST:PORT, not 'soon'"),
        (["--prometheus", "localhost:99999"], "expected a port"),
        (["--prometheus", "1", "--kinds", "-1"], "expected a number, 0 to 1000, not '-1'"),
        (["--prometheus", "1", "--kinds", "x"], "expected a number, 0 to 1000, not 'x'"),
        (["--otlp", "nowhere"], "expected the URL of a collector"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    options: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASYNCTOP_CONFIG", os.devnull)
    assert main(["metrics", "1", *options]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


@pytest.mark.parametrize(
    ("option", "library", "extra"),
    [("--prometheus=0", "prometheus_client", "prometheus"), ("--otlp", "opentelemetry", "otel")],
)
def test_a_library_that_is_missing_is_told(
    option: str,
    library: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ASYNCTOP_CONFIG", os.devnull)
    for name in [name for name in sys.modules if name.startswith(("asynctop_console.metrics.", library))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["metrics", "1", option]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"asynctop: {library}")
    assert said.endswith(f" is missing: install it with `pip install 'asynctop[{extra}]'`\n")


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        watched = Collected(SocketSource(Target(str(tmp_path / "none"))), RULES, 20)
        with pytest.raises(UsageError, match=f"cannot listen at 127.0.0.1:{port}: Address already in use"):
            with prometheus.served(watched, "127.0.0.1", port):
                pass
