"""How durations are written: one format for every screen, and one for places in time."""

from __future__ import annotations

_UNITS = (
    (1_000, 1, "ns"),
    (1_000_000, 1_000, "µs"),
    (1_000_000_000, 1_000_000, "ms"),
    (60 * 10**9, 10**9, "s"),
)


def duration(ns: int) -> str:
    """A duration in at most 7 columns: 840ns 12.3µs 4.56ms 1.23s 2m03s 1h04m 3d07h.

    A negative one is shown as 0ns: it can only come from two clocks read apart.
    """
    ns = max(int(ns), 0)
    for below, unit, suffix in _UNITS:
        if ns < below:
            text = _three_digits(ns, unit)
            # 999.6µs rounds to 1000µs, which is 1.00ms.
            if text != "1000" and not (suffix == "s" and text == "60.0"):
                return text + suffix
            ns = below
    minutes, seconds = divmod(ns // 10**9, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h" if days < 1000 else f"{min(days, 999_999)}d"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def minutes(ns: int) -> str:
    """ "1:05", "1:00:00"; a negative one is "0:00"."""
    minutes, seconds = divmod(max(ns, 0) // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _three_digits(ns: int, unit: int) -> str:
    if unit == 1:
        return str(ns)
    value = ns / unit
    for digits, below in ((2, 9.995), (1, 99.95)):
        if value < below:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"
