"""Figures for Prometheus, in its text format, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from asynctop_console.clean import program
from asynctop_console.metrics.collecting import Collected
from asynctop_console.metrics.figures import METRICS
from asynctop_console.usage import UsageError

_UNITS = {"s": "seconds"}
"""Those that belong into a name."""


@contextmanager
def served(collected: Collected, host: str, port: int) -> Iterator[str]:
    """Answer at an address, a free one for port 0, as long as this lasts. Says where.

    UsageError where that address cannot be had."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(collected))
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise UsageError(f"cannot listen at {_address(host, port)}: {error.strerror}") from None
    try:
        yield f"at http://{_address(host, server.server_port)}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Collector(Collector):
    def __init__(self, collected: Collected) -> None:
        self._collected = collected

    def collect(self) -> Iterator[Metric]:
        """What a scrape is answered."""
        figures, hello = self._collected.figures, self._collected.hello
        yield GaugeMetricFamily(
            "asynctop_up", "Whether the program can be reached.", value=figures is not None
        )
        if figures is None or hello is None:
            return
        about = {
            "program": program(hello.argv),
            "pid": str(hello.pid),
            "python": hello.python,
            "runtime": hello.runtime,
            "core": hello.core,
        }
        yield InfoMetricFamily("asynctop_target", "The program.", value=about)
        for metric in METRICS:
            name = metric.name.replace(".", "_")
            unit = _UNITS.get(metric.unit, "")
            type_ = CounterMetricFamily if metric.counter else GaugeMetricFamily
            family = type_(name, metric.meaning, labels=metric.labels, unit=unit)
            for labels, value in figures[metric.name].items():
                family.add_metric(labels, value)
            yield family
