"""The terminal side of asynctop: source -> model -> lints -> views, and the command line."""
