"""Messages and framing between a monitored program and its console. No sockets, no clock, no threads."""
