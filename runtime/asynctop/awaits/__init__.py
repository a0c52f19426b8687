"""What suspended tasks wait for, and what they hold meanwhile: read on demand, from their coroutines."""

from asynctop.awaits.chain import await_chain

__all__ = ["await_chain"]
