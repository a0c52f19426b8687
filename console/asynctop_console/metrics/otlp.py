"""Figures for a collector that speaks OpenTelemetry: sent to it by OTLP over HTTP, now and then.

How often, with which headers and the like is said as everywhere, by the variables OTEL_...
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from asynctop_console.clean import program
from asynctop_console.metrics.collecting import Collected
from asynctop_console.metrics.figures import METRICS, Metric
from asynctop_console.usage import UsageError

_PATH = "/v1/metrics"
"""Where collectors listen for metrics, where nothing else is said."""


def checked(endpoint: str) -> str | None:
    """The URL to send to; None for that of the environment, a collector on this machine where that says
    nothing. UsageError where the endpoint is no URL."""
    if not endpoint:
        return None
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"expected the URL of a collector, http://HOST:4318, not {endpoint!r}")
    return endpoint if parts.path.strip("/") else endpoint.rstrip("/") + _PATH


@contextmanager
def sent(collected: Collected, endpoint: str | None) -> Iterator[str]:
    """Send to a URL, see `checked`, as long as this lasts, and once more at its end. Says where to."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint))
    provider = MeterProvider([reader], _resource(collected), shutdown_on_exit=False)
    meter = provider.get_meter("asynctop")
    for metric in METRICS:
        create = meter.create_observable_counter if metric.counter else meter.create_observable_gauge
        create(metric.name, [_observed(collected, metric)], metric.unit, metric.meaning)
    try:
        yield f"sent to {endpoint or 'the collector of the environment'}"
    finally:
        provider.shutdown()


def _resource(collected: Collected) -> Resource:
    hello = collected.hello
    if hello is None:
        return Resource.create()
    return Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or program(hello.argv),
            "process.pid": hello.pid,
            "process.command_args": hello.argv,
            "process.runtime.name": "cpython",
            "process.runtime.version": hello.python,
            "asynctop.runtime": hello.runtime,
        }
    )


def _observed(collected: Collected, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(options: CallbackOptions) -> Iterable[Observation]:
        for labels, value in (collected.figures or {}).get(metric.name, {}).items():
            yield Observation(value, dict(zip(metric.labels, labels, strict=True)))

    return observe
