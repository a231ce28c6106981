"""How long it takes until something is on the screen, from the navigation on."""

from __future__ import annotations

from .chromium import Chromium
from .chromium import Tab
from .serving import Serving
from .states import STATES

#: Most milliseconds, on the machine of the server.
LIMIT = 100.0

#: An odd number, so that the median is one of them. The first has to load the style sheet and the scripts.
TIMES = 21


def first_paint(serving: Serving, chromium: Chromium) -> bool:
    """Whether the median is within the limit, for the page with the most on it."""
    [passing] = [state for state in STATES if state.name == "passing"]
    taken = []
    with serving.started("paint", **passing.settings) as server, passing.reach(server), Tab(chromium) as tab:
        for _ in range(TIMES):
            tab.open(server.url)
            entry = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
            taken.append(float(tab.wait(entry)))
    first, *_ = taken
    taken.sort()
    median = taken[TIMES // 2]
    print(f"first contentful paint: {first:.0f} ms at first, then a median of {median:.0f} ms", end=" ")
    print(f"({taken[0]:.0f} to {taken[-1]:.0f}; limit {LIMIT:.0f})")
    return median < LIMIT
