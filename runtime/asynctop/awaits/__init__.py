"""What suspended tasks wait for, what they hold meanwhile, and whether anybody holds them: read on demand."""

from asynctop.awaits.chain import await_chain, read, waiter
from asynctop.awaits.holders import is_held, references
from asynctop.awaits.reach import Reach, Waiter

__all__ = ["Reach", "Waiter", "await_chain", "is_held", "read", "references", "waiter"]
