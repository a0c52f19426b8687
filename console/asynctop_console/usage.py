"""What commands take, and what is wrong with what they were given."""

from __future__ import annotations

import argparse
import math
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


@contextmanager
def new_file(path: Path) -> Iterator[None]:
    """Where a file is made that must not be there yet. UsageError where it cannot be opened or written."""
    try:
        yield
    except FileExistsError:
        raise UsageError(f"{path} exists already: give another name, or remove it") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
