"""What suspended tasks wait for, and what they hold meanwhile: read on demand, from their coroutines."""

from asynctop.awaits.chain import await_chain, read, waiter
from asynctop.awaits.reach import Reach, Waiter

__all__ = ["Reach", "Waiter", "await_chain", "read", "waiter"]
