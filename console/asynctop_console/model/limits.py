"""How much a runtime may make us keep. Beyond a limit the model raises `ProtocolError`.

A runtime is a foreign program: it may be broken or hostile, and must not fill the console's memory.
"""

LARGEST = 2**62
"""Every number in the model is in 0..LARGEST, others are clipped: any two add up within 64 bits."""

LARGEST_SMALL = 2**31 - 1
"""The same for numbers of kinds, texts and loops, which the model keeps in 32 bits."""

TASKS = 4 << 20
"""Rows in the task table: four times the million that the console is built for, about 1 GB."""

ENDED_RETAINED = 10_000
"""Ended tasks kept for looking back; their sums live on in their kind."""

TEXTS = 1 << 20
"""Different texts: locations and exceptions. A program with more of them does not intern, it leaks."""

TEXT_CHARS = 64 << 20
"""Characters in all texts together, about as many bytes."""

NAME_CHARS = 256 << 20
"""Characters in all task names together: 64 for each of the most tasks there may be."""

KINDS = 1 << 14
"""Kinds: each has a histogram of 1 kB, so 16 MB. Large programs have some hundreds."""

LOOPS = 1 << 12
"""Event loops, the closed ones included."""

STALLS = 1_000
"""Stalls kept, those of the most frequent place forgotten first: each has a stack."""

PARTS = 16
"""Different stacks kept of one stall: a runtime sends half as many."""

INCIDENTS = 1_000
"""Incidents kept, oldest forgotten first: each stands for all at its place."""

WATCHED = 16
"""Tasks whose history is kept, oldest forgotten first: as many as the protocol lets a console watch."""

HISTORY = 4096
"""Polls kept of each: 200 kB, and more than anybody scrolls through."""

CHAINS = 100_000
"""Await chains kept, oldest forgotten first: each is some hundreds of bytes of frames."""

CANCELLATIONS = 1_000
"""Cancellations of which it is remembered how they went, oldest forgotten first: each has a chain."""

LANDED = 10_000
"""Tasks of which the last cancellation is known, oldest forgotten first."""

FRAMES = 200
"""Frames kept of one stack, the innermost ones: recursion makes deeper ones, nobody reads them."""

NOTES = 100
"""Names of what was dropped, and faults: there are a handful of hooks."""

PICTURE_NS = 15_000_000_000
"""How long after the last await chain was heard of the picture of who waits for whom still counts: consoles
inspect every few seconds, where they inspect at all."""
