"""A program's figures for those who watch many at once: Prometheus, and whoever speaks OpenTelemetry."""
