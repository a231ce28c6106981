"""A check that failed."""


class Failed(Exception):
    """What is wrong, for the reader."""
