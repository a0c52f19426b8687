"""What suspended tasks wait for, and what they hold meanwhile: read on demand, from their coroutines."""

from asynctop.awaits.cancellations import is_cancelled
from asynctop.awaits.chain import await_chain

__all__ = ["await_chain", "is_cancelled"]
