#!/usr/bin/env python3
"""The page in a real browser: Debian's Chromium, without a window, opens what a real serin serves.

Every state of a rollout is reached by requests, commands and faults, and its page is looked at from 320 to 1,440
pixels, in light and dark, with and without scripts: it says what it must, scrolls to no side, complains of nothing,
asks nobody else, and axe-core finds nothing serious. Then the page is watched while things
happen, and people act by it alone.

    .venv/bin/python scripts/browser --serin target/debug/serin
    .venv/bin/python scripts/browser --serin target/debug/serin --only holding --pictures target/screenshots
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
ROOT = SCRIPTS.parent
sys.path[:0] = [str(SCRIPTS), str(ROOT / "python")]

from browser import further  # noqa: E402
from browser import of_acts  # noqa: E402
from browser import of_page  # noqa: E402
from browser.chromium import Chromium  # noqa: E402
from browser.first_paint import first_paint  # noqa: E402
from browser.in_states import in_state  # noqa: E402
from browser.serving import Serving  # noqa: E402
from browser.states import STATES  # noqa: E402

Test = Callable[[Serving, Chromium], None]

# Most of the time a test waits for a server.
AT_ONCE = (os.cpu_count() or 2) + 1


def tests(pictures: Path | None) -> dict[str, Test]:
    """Every test by its name."""
    states = {state.name: in_state(state, pictures) for state in STATES}
    states |= further.tests(pictures)
    if pictures is not None:
        return states
    return {**states, **{test.__name__: test for test in [*of_page.TESTS, *of_acts.TESTS]}}


def main() -> int:
    parser = argparse.ArgumentParser(description="Open the page of a real server in Chromium.")
    parser.add_argument("--serin", metavar="PATH", type=Path, default=ROOT / "target/release/serin")
    parser.add_argument("--only", metavar="NAME", nargs="+", help="only the tests with these words in their names")
    parser.add_argument("--pictures", metavar="FOLDER", type=Path, help="only take pictures of the states")
    parser.add_argument("--first-paint", action="store_true", help="only measure the time to the first paint")
    arguments = parser.parse_args()
    if arguments.pictures is not None:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    only = arguments.only or [""]
    chosen = {name: test for name, test in tests(arguments.pictures).items() if any(words in name for words in only)}
    failed: list[str] = []

    def run(named: tuple[str, Test]) -> None:
        name, test = named
        start = time.monotonic()
        try:
            test(serving, chromium)
        except Exception as error:  # noqa: BLE001 the other tests go on
            failed.append(name)
            print(f"browser: {name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        else:
            print(f"browser: {name}: {time.monotonic() - start:.1f} s", flush=True)

    with tempfile.TemporaryDirectory(prefix="serin-browser-", ignore_cleanup_errors=True) as folder:
        serving = Serving(arguments.serin.resolve(), Path(folder))
        with Chromium(Path(folder)) as chromium, ThreadPoolExecutor(AT_ONCE) as pool:
            if arguments.first_paint:
                return 0 if first_paint(serving, chromium) else 1
            list(pool.map(run, chosen.items()))
    print(f"browser: {len(chosen) - len(failed)} of {len(chosen)} pass")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
