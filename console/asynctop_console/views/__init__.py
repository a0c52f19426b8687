"""The screens. They draw a model and never change it; only `app` knows where messages come from."""
