"""Every limit of the wire, and why it has that value.

A sender keeps within them by itself (`codec.encode` cuts texts and splits rows); a receiver refuses what
exceeds them before it allocates anything.
"""

MAX_FRAME_BYTES = 4 << 20
"""Largest payload that a console accepts: ten times the widest full message (12 columns of 4096 rows of 8
bytes), so that texts fit too, and small enough that what it unfolds into stays within tens of megabytes."""

MAX_REQUEST_BYTES = 128 << 10
"""Largest payload that a runtime accepts: one text of full length, or one `Inspect` of full length (32 KiB),
with room to spare. It holds from the first byte, so before the token is checked too: a hostile console cannot
make a production program allocate more."""

MAX_ROWS = 4096
"""Rows of one message, and items of one list. A runtime builds messages beside the program that it watches:
this many rows take about a millisecond, and larger ones would not travel better."""

MAX_WATCHED = 16
"""Tasks that one console watches at a time: more than anybody looks at, and each costs the program the memory
of its last polls, and time at each poll."""

MAX_TEXT_BYTES = 64 << 10
"""One text, in bytes of UTF-8. Generous for names and for the text of an exception; a longer one is no longer
read."""

MAX_STACK = 1024
"""Frames of one stack or await chain: a little above Python's usual recursion limit of 1000."""

MAX_BUCKETS = 127
"""Buckets of one histogram: number 126 ends at 2**63 ns, where the integers end."""

MAX_COUNTERS = 64
"""Entries of a map from names to counts: a runtime has a handful of places where something can get lost."""

MAX_FIELDS = 64
"""Fields of one message or record, known and unknown: about three times the largest, which leaves minor
versions room."""
