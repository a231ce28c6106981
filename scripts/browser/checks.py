"""What holds of every page."""

from __future__ import annotations

from typing import Any

from .chromium import Tab

#: The narrowest that WCAG asks for, a phone, a desk.
WIDTHS = (320, 375, 1440)


class Failed(Exception):
    """A page that is not as it should be."""


def check(is_so: Any, message: str) -> None:
    if not is_so:
        raise Failed(message)


def quiet(tab: Tab, url: str, *expected: str) -> None:
    """No error and no warning but the expected ones, and nothing from elsewhere."""
    complaints = [one for one in tab.complaints if not any(words in one for words in expected)]
    check(not complaints, f"the page complains: {complaints}")
    foreign = [one for one in tab.requested if not one.startswith((f"{url}/", "data:"))]
    check(not foreign, f"the page asked elsewhere: {foreign}")


def fits(tab: Tab) -> None:
    """No scrolling to the side, at any width."""
    for width in WIDTHS:
        tab.size(width)
        wide, beyond = tab.probe("overflow")
        check(wide <= 0, f"at {width} px the page is {wide} px wider than the window: {beyond}")
