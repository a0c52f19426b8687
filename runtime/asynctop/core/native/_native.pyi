"""The extension module, as Python sees it."""

def placeholder() -> None:
    """Does nothing."""
