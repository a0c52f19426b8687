"""The publisher: a thread of its own that tells consoles what changed. Never the monitored loop."""
