"""What makes a check fail, and free ports."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any


class Failed(Exception):
    """Something that is not as expected."""


def check(is_so: Any, what: str, expected: Any, seen: Any) -> None:
    """Fails with what was expected and what was seen."""
    if not is_so:
        raise Failed(f"{what}\n  expected: {expected}\n  seen:     {seen}")


def within(seconds: float, what: str, expected: Any, look: Callable[[], tuple[bool, Any]]) -> Any:
    """Looks again and again until it is so. What was seen last."""
    end = time.monotonic() + seconds
    while True:
        is_over = time.monotonic() > end
        is_so, seen = look()
        if is_so:
            return seen
        if is_over:
            raise Failed(f"{what}, within {seconds:g} s\n  expected: {expected}\n  seen:     {seen}")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
