"""The screens. They draw a model and never change it; only `app` knows where messages come from."""

import os

# Textual reads it once, when it is imported. It lets that much time pass between two refreshes, and a key
# that comes right after one would wait for all of it.
os.environ.setdefault("TEXTUAL_FPS", "250")
