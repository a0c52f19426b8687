"""What commands take, and what is wrong with what they were given."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_OBSERVATION_S = 24 * 3600.0


class UsageError(Exception):
    """The command line is not what it should be. Its text is one line."""


def seconds(text: str) -> float:
    """An option's number of seconds, up to a day."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _LONGEST_OBSERVATION_S:
        raise argparse.ArgumentTypeError(
            f"expected a number of seconds, 0 to {_LONGEST_OBSERVATION_S:g}, not {text!r}"
        )
    return number


def duration(text: str) -> float:
    """An option's length of time with its unit, such as 50ms, in seconds."""
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)(us|ms|s)", text)
    number = float(found[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[found[2]] if found else math.nan
    if not 0.001 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"expected a time such as 50ms, 1ms to 3600s, not {text!r}")
    return number


@contextmanager
def new_file(path: Path) -> Iterator[None]:
    """Where a file is made that must not be there yet. UsageError where it cannot be opened or written."""
    try:
        yield
    except FileExistsError:
        raise UsageError(f"{path} exists already: give another name, or remove it") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
