"""Pages and parts beyond the states of a rollout: opened rows, panels, and earlier rollouts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from .checks import check
from .chromium import Chromium
from .chromium import Tab
from .in_states import from_all_sides
from .of_acts import press
from .of_page import opened
from .serving import Serin
from .serving import Serving
from .states import CANARY
from .states import FILE
from .states import STATES
from .states import TAIL
from .states import WIDE


def opened_rows(serving: Serving, chromium: Chromium, pictures: Path | None) -> None:
    [passing] = [state for state in STATES if state.name == "passing"]
    with serving.started("rows", **passing.settings) as server, passing.reach(server), Tab(chromium) as tab:
        for metric in ["latency", "failures", "shadow_flips"]:
            tab.open(f"{server.url}/?open={metric}")
            row = tab.text(f"#o-{metric}")
            check("However often you look" in row, f"{metric} says {row!r}")
            from_all_sides(tab, server.url, f"row-{metric}", pictures)


def panels(serving: Serving, chromium: Chromium, pictures: Path | None) -> None:
    with serving.started("panels") as server:
        server.client.deploy(FILE, traffic_percent=10)
        with opened(chromium, server) as tab:
            for act in ["promote-canary", "set-traffic", "rollback-canary"]:
                press(tab, act)
                from_all_sides(tab, server.url, f"panel-{act}", pictures)
                tab.key("Escape", 27)


def earlier_rollouts(serving: Serving, chromium: Chromium, pictures: Path | None) -> None:
    with serving.started("earlier", metrics=[WIDE, TAIL]) as server:
        three_rollouts(server)
        with Tab(chromium) as tab:
            for name, path, words in [
                ("rollouts", "rollouts", ["Promoted", "Rolled back", "seen enough"]),
                ("rollout-rolled-back", "rollouts/1", ["Rolled back", "seen enough", CANARY]),
                ("rollout-promoted", "rollouts/2", ["Promoted", CANARY]),
                ("replay", "rollouts/2?recompute=true&metric=latency&accepted=20", ["20 %"]),
                ("rollout-running", "rollouts/3", []),
                ("no-rollout", "rollouts/7", ["7"]),
            ]:
                tab.open(f"{server.url}/{path}")
                text = tab.text("body")
                check(all(word in text for word in words), f"{path} says {text[:600]!r}")
                if name == "no-rollout":
                    # The status 404 of the page itself is in the console.
                    tab.complaints.clear()
                from_all_sides(tab, server.url, name, pictures)


def three_rollouts(server: Serin) -> None:
    """One that is rolled back, one that is promoted, and one that goes on."""
    with server.traffic():
        server.client.deploy(FILE, traffic_percent=10)
        server.once(lambda: server.status()["tracks"]["canary"]["requests"] > 20, "20 canary requests")
        server.client.rollback("seen enough")
        server.client.deploy(FILE, traffic_percent=50)
        server.until("healthy")
        server.client.promote()
        server.client.deploy("model_v1.bin", traffic_percent=5)
        server.once(lambda: server.status()["tracks"]["canary"]["requests"] > 5, "5 canary requests")


def tests(pictures: Path | None) -> dict[str, Callable[[Serving, Chromium], None]]:
    """Each by its name; their pictures are written into a folder, if one is given."""
    looks = [opened_rows, panels, earlier_rollouts]
    return {look.__name__.replace("_", "-"): partial(look, pictures=pictures) for look in looks}
