"""What suspended tasks wait for, what they hold meanwhile, and whether anybody holds them: read on demand."""

from asynctop.awaits.chain import await_chain
from asynctop.awaits.holders import is_held, references

__all__ = ["await_chain", "is_held", "references"]
