"""The C core: the extension module `_native`, and what makes a recorder core of it."""
