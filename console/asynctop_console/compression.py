"""zstd, as the standard library has it from Python 3.14 on, and a package of the same author before."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["zstd"]
