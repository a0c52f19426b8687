"""What a recording holds, for other tools and other eyes: a module for each form.

They read a recording from its beginning to its end and write as they go, so that their memory is bounded
whatever its length.
"""
